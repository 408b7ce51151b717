//! `/api/snapshots`: what is kept, shown and removed.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use super::served::{Server, start, start_with};

/// The names in the folder of images.
pub fn files(server: &Server) -> BTreeSet<String> {
    let entries = std::fs::read_dir(server.data.path().join("snapshots")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

pub async fn create(server: &Server, body: Value) -> Value {
    let (status, snapshot) = server.post("/api/snapshots/create", &body).await;
    assert_eq!(status, 201, "{snapshot}");
    snapshot
}

pub fn id(snapshot: &Value) -> String {
    snapshot["snapshot_id"].as_str().unwrap().to_owned()
}

pub async fn delete(server: &Server, path: &str) -> (u16, Value) {
    let answer = reqwest::Client::new().delete(server.url(path)).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_taken_shown_listed_and_removed() {
    let server = start().await;
    // The seed's own request.
    let first = create(&server, json!({ "monitor": 0, "region": { "x": 0, "y": 0, "width": 800, "height": 600 }, "quality": 85 })).await;
    let first_id = id(&first);
    assert_eq!(
        (&first["monitor"], &first["region"], &first["width"], &first["height"], &first["quality"], &first["format"]),
        (&json!(0), &json!({ "x": 0, "y": 0, "width": 800, "height": 600 }), &json!(800), &json!(600), &json!(85), &json!("jpeg"))
    );
    assert_eq!(first["image_url"], format!("/api/snapshots/{first_id}/image"));
    assert!(chrono::DateTime::parse_from_rfc3339(first["timestamp"].as_str().unwrap()).is_ok());
    let second = create(&server, json!({ "format": "png" })).await;
    assert_eq!((&second["region"], &second["width"], &second["height"]), (&Value::Null, &json!(1280), &json!(800)));

    assert_eq!(server.get(&format!("/api/snapshots/{first_id}")).await, (200, first.clone()));
    let (_, listed) = server.get("/api/snapshots/list").await;
    assert_eq!(listed, json!({ "snapshots": [id(&second), first_id], "count": 2 }));
    let (_, page) = server.get("/api/snapshots/list?limit=1&offset=1").await;
    assert_eq!(page, json!({ "snapshots": [first_id], "count": 2 }));

    let client = reqwest::Client::new();
    let url = server.url(first["image_url"].as_str().unwrap());
    let answer = client.get(&url).send().await.unwrap();
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!((header("content-type"), header("x-content-type-options")), ("image/jpeg".to_owned(), "nosniff".to_owned()));
    assert!(header("content-security-policy").contains("sandbox"));
    let tag = header("etag");
    let bytes = answer.bytes().await.unwrap();
    assert_eq!(bytes.len(), first["size_bytes"].as_u64().unwrap() as usize);
    let picture = image::load_from_memory(&bytes).unwrap();
    assert_eq!((picture.width(), picture.height()), (800, 600));
    let again = client.get(&url).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!((again.status().as_u16(), again.bytes().await.unwrap().len()), (304, 0));

    assert_eq!(files(&server).len(), 2);
    assert_eq!(delete(&server, &format!("/api/snapshots/{first_id}")).await.0, 200);
    assert_eq!(files(&server), BTreeSet::from([format!("{}.png", id(&second))]));
    for path in ["", "/image"] {
        assert_eq!(server.get(&format!("/api/snapshots/{first_id}{path}")).await.0, 404);
    }
    assert_eq!(client.get(&url).header("if-none-match", &tag).send().await.unwrap().status(), 404);
    assert_eq!(delete(&server, &format!("/api/snapshots/{first_id}")).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_shown_is_refused_and_nothing_is_kept() {
    let server = start().await;
    for (body, path) in [
        (json!({ "monitor": 7 }), "/monitor"),
        (json!({ "monitor": -1 }), "/monitor"),
        (json!({ "quality": 0 }), "/quality"),
        (json!({ "quality": 101 }), "/quality"),
        (json!({ "region": { "x": 0, "y": 0, "width": 1281, "height": 1 } }), "/region"),
        (json!({ "region": { "x": 0, "y": 0, "width": 0, "height": 1 } }), "/region"),
        (json!({ "region": { "x": 2_147_483_647, "y": 0, "width": 2, "height": 1 } }), "/region"),
        (json!({ "region": { "x": 0, "y": 0, "width": 1 } }), "/region/height"),
        (json!({ "format": "gif" }), "/format"),
        (json!({ "qualty": 1 }), "/qualty"),
    ] {
        let (status, refused) = server.post("/api/snapshots/create", &body).await;
        assert_eq!((status, &refused["error_code"]), (422, &json!("VALIDATION_ERROR")), "{body}: {refused}");
        assert!(refused["details"]["errors"][0]["path"].as_str().unwrap().starts_with(path), "{body}: {refused}");
    }
    for query in ["limit=0", "limit=501", "limit=x", "offset=-1"] {
        assert_eq!(server.get(&format!("/api/snapshots/list?{query}")).await.0, 422, "{query}");
    }
    assert!(files(&server).is_empty());
    assert_eq!(server.get("/api/snapshots/list").await.1["count"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_id_leads_out_of_the_folder() {
    let server = start().await;
    let outside = server.data.path().join("secret.jpg");
    std::fs::write(&outside, "secret").unwrap();
    let long = "x".repeat(300);
    for bad in ["..%2Fsecret", "..%2Fsecret.jpg", "%2e%2e%2fsecret", "a%00b", "%C3%A4", "a%2Fb", ".new-a", "a.jpg", "%ff", &long] {
        for path in ["", "/image"] {
            assert_eq!(server.get(&format!("/api/snapshots/{bad}{path}")).await.0, 404, "{bad}{path}");
        }
        assert_eq!(delete(&server, &format!("/api/snapshots/{bad}")).await.0, 404, "{bad}");
        assert_eq!(server.get(&format!("/api/snapshots/templates/{bad}")).await.0, 404, "{bad}");
    }
    let zones = json!([{ "id": "z", "name": "z", "x": 0, "y": 0, "width": 1, "height": 1 }]);
    let (status, _) = server.post("/api/snapshots/ocr/execute", &json!({ "snapshot_id": "../secret", "zones": zones })).await;
    assert_eq!(status, 404);
    assert_eq!(std::fs::read_to_string(outside).unwrap(), "secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_link_is_not_followed_and_deleting_removes_the_link_only() {
    let server = start().await;
    let snapshot = id(&create(&server, json!({})).await);
    let file = server.data.path().join("snapshots").join(format!("{snapshot}.jpg"));
    let secret = server.data.path().join("secret.txt");
    std::fs::write(&secret, "secret").unwrap();
    std::fs::remove_file(&file).unwrap();
    symlink(&secret, &file).unwrap();

    let (status, refused) = server.get(&format!("/api/snapshots/{snapshot}/image")).await;
    assert_eq!((status, &refused["error_code"]), (404, &json!("NOT_FOUND")));
    assert!(refused["error"].as_str().unwrap().contains("gone"), "{refused}");
    assert_eq!(server.get(&format!("/api/snapshots/{snapshot}")).await.0, 404);
    let zones = json!([{ "id": "z", "name": "z", "x": 0, "y": 0, "width": 9, "height": 9 }]);
    assert_eq!(server.post("/api/snapshots/ocr/execute", &json!({ "snapshot_id": snapshot, "zones": zones })).await.0, 404);

    assert_eq!(delete(&server, &format!("/api/snapshots/{snapshot}")).await.0, 200);
    assert!(!file.is_symlink());
    assert_eq!(std::fs::read_to_string(secret).unwrap(), "secret");
    assert_eq!(server.get("/api/snapshots/list").await.1["count"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_make_room_and_the_newest_stays() {
    let server = start().await;
    let size = create(&server, json!({})).await["size_bytes"].as_u64().unwrap();
    drop(server);

    let server = start_with(|config| config.snapshots.max_total = Some(size * 3 + size / 2)).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(id(&create(&server, json!({})).await));
    }
    let (_, listed) = server.get("/api/snapshots/list").await;
    assert_eq!(listed, json!({ "snapshots": [ids[4], ids[3], ids[2]], "count": 3 }));
    assert_eq!(files(&server), ids[2..].iter().map(|id| format!("{id}.jpg")).collect());
    drop(server);

    let server = start_with(|config| config.snapshots.max_total = Some(1)).await;
    create(&server, json!({})).await;
    let newest = id(&create(&server, json!({})).await);
    assert_eq!(server.get("/api/snapshots/list").await.1["snapshots"], json!([newest]));
    assert_eq!(server.get(&format!("/api/snapshots/{newest}/image")).await.0, 200);
}
