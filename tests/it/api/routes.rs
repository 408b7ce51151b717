//! What each route answers when all is well.

use serde_json::{Value, json};

use super::stand_in::{self, Server};

async fn call(server: &Server, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let mut request = reqwest::Client::new().request(method.parse().unwrap(), server.url(path));
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

#[tokio::test]
async fn health_says_what_the_specification_shows() {
    let server = stand_in::start().await;
    for path in ["/api/health/", "/api/health"] {
        let (status, health) = call(&server, "GET", path, None).await;
        assert_eq!(status, 200);
        assert_eq!(health["status"], "healthy");
        assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
        assert!(health["uptime"].is_u64() && health["timestamp"].as_str().unwrap().ends_with('Z'));
    }
    let head = reqwest::Client::new().head(server.url("/api/health/")).send().await.unwrap();
    assert_eq!(head.status(), 200);
}

#[tokio::test]
async fn workflows_are_created_read_replaced_and_deleted() {
    let server = stand_in::start().await;
    let drawn = json!({ "name": "a", "nodes": [{ "id": "n", "type": "delay", "measured": { "width": 1 } }], "edges": [], "viewport": { "zoom": 2 } });
    let (status, stored) = call(&server, "POST", "/api/workflows/", Some(drawn.clone())).await;
    assert_eq!((status, &stored["nodes"], &stored["viewport"]), (201, &drawn["nodes"], &drawn["viewport"]));
    assert_eq!(call(&server, "PUT", "/api/workflows/known/", Some(drawn)).await.0, 200);
    assert_eq!(call(&server, "GET", "/api/workflows/known", None).await.1["id"], "known");
    let (status, deleted) = call(&server, "DELETE", "/api/workflows/known", None).await;
    assert_eq!((status, &deleted["success"]), (200, &json!(true)));
    assert_eq!(call(&server, "GET", "/api/workflows/?limit=7&offset=2&search=a%20b&unknown=1", None).await.0, 200);
    assert_eq!(server.asked().last().unwrap(), &json!({ "limit": 7, "offset": 2, "search": "a b" }));
    assert_eq!(call(&server, "GET", "/api/workflows/status", None).await.0, 200);
    assert_eq!(call(&server, "POST", "/api/workflows/validate", Some(json!({}))).await.1["valid"], true);
    let script = reqwest::get(server.url("/api/workflows/known/script")).await.unwrap();
    assert_eq!(script.headers()["content-type"], "text/plain; charset=utf-8");
}

#[tokio::test]
async fn execute_answers_at_once_or_with_the_finished_run() {
    let server = stand_in::start().await;
    let (status, started) = call(&server, "POST", "/api/workflows/known/execute", None).await;
    assert_eq!((status, started), (202, json!({ "run_id": "known-run", "status": "queued" })));
    let request = json!({ "wait": true, "timeout": 5, "parameters": { "a": 1 } });
    let (status, run) = call(&server, "POST", "/api/workflows/known/execute/", Some(request)).await;
    assert_eq!((status, &run["status"]), (200, &json!("succeeded")));
    assert_eq!(server.asked().last().unwrap()["parameters"], json!({ "a": 1 }));
}

#[tokio::test]
async fn webhooks_pass_on_the_whole_call_and_answer_as_told() {
    let server = stand_in::start().await;
    let client = reqwest::Client::new();
    let answer =
        client.put(server.url("/api/webhooks/later/?a=1&b=%20")).header("X-Own", "yes").json(&json!({ "k": [1] })).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let call = server.asked().last().unwrap().clone();
    assert_eq!((&call["method"], &call["path"], &call["body"]), (&json!("PUT"), &json!("later"), &json!({ "k": [1] })));
    assert_eq!((&call["query"], &call["headers"]["x-own"]), (&json!({ "a": "1", "b": " " }), &json!("yes")));
    let answer: Value = client.post(server.url("/api/webhooks/deep/er")).body("text").send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["result"], json!({ "a": 1 }));
    assert_eq!(server.asked().last().unwrap()["body"], "text");
    let answer = client.get(server.url("/api/webhooks/answer")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["x-tea"].to_str().unwrap()), (418, "pot"));
    assert_eq!(answer.text().await.unwrap(), "short and stout");
    assert_eq!(client.get(server.url("/api/webhooks/unknown")).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn pictures_come_as_json_or_bare() {
    let server = stand_in::start().await;
    let (status, shot) = call(&server, "POST", "/api/desktop/screenshot", Some(json!({ "monitor": 0, "quality": 100 }))).await;
    assert_eq!((status, &shot["success"], &shot["data"]["format"]), (200, &json!(true), &json!("jpeg")));
    assert!(shot["timestamp"].is_f64() && shot["data"]["image_data"].is_string());
    let client = reqwest::Client::new();
    let bare = client.post(server.url("/api/desktop/screenshot")).header("accept", "image/png").send().await.unwrap();
    assert_eq!(bare.headers()["content-type"], "image/png");
    let browser = "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5";
    for (accept, expected) in
        [("*/*", "image/jpeg"), (browser, "image/jpeg"), ("image/webp", "image/webp"), ("application/json", "application/json")]
    {
        let frame = client.get(server.url("/api/desktop/frame")).header("accept", accept).send().await.unwrap();
        assert_eq!(frame.headers()["content-type"], expected, "{accept}");
    }
    let frame = reqwest::get(server.url("/api/desktop/frame?format=png&quality=1")).await.unwrap();
    assert_eq!(frame.headers()["content-type"], "image/png");
    assert_eq!(call(&server, "GET", "/api/desktop/info", None).await.1["screens"][0]["is_primary"], true);
}

#[tokio::test]
async fn clicks_have_the_defaults_of_the_specification() {
    let server = stand_in::start().await;
    let (status, answer) = call(&server, "POST", "/api/automation/mouse/click", Some(json!({ "x": 100, "y": 200 }))).await;
    assert_eq!((status, &answer["success"]), (200, &json!(true)));
    assert_eq!(server.asked().last().unwrap()["click"], json!({ "x": 100, "y": 200, "button": "left", "clicks": 1, "duration": 0.1 }));
    let (_, typed) = call(&server, "POST", "/api/automation/keyboard/type", Some(json!({ "text": "äb" }))).await;
    assert_eq!(typed["data"]["characters"], 2);
    let (_, status) = call(&server, "GET", "/api/automation/status", None).await;
    assert_eq!(status["data"]["screen_size"], json!({ "width": 800, "height": 600 }));
    let (_, capabilities) = call(&server, "GET", "/api/automation/capabilities", None).await;
    assert_eq!((&capabilities["mouse_actions"], &capabilities["keyboard_actions"]), (&json!(["click"]), &json!(["type"])));
}

#[tokio::test]
async fn what_is_switched_off_says_so() {
    let server = stand_in::start_with(|config| config.services.click_automation = false).await;
    let (status, answer) = call(&server, "POST", "/api/automation/mouse/click", Some(json!({ "x": 1, "y": 2 }))).await;
    assert_eq!((status, &answer["details"]["service"]), (503, &json!("click_automation")));
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn node_types_come_with_schema_and_template() {
    let server = stand_in::start().await;
    let (_, all) = call(&server, "GET", "/api/node-configs/templates/", None).await;
    assert_eq!((&all["count"], &all["templates"][0]["node_type"]), (&json!(1), &json!("delay")));
    let (_, one) = call(&server, "GET", "/api/node-configs/templates/delay", None).await;
    assert_eq!((&one["template"], &one["outputs"][0]["id"]), (&json!({ "seconds": 1 }), &json!("out")));
}
