//! Snapshots across crashes and restarts: a record and an image, or neither.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::{Child, Command};
use trae::app::{App, Options};
use trae::config::{Config, DisplayMode};
use trae::policy::Permissions;

use crate::desktop::display::Display;

/// TRAE as a process of its own.
pub struct Process {
    pub child: Child,
    pub url: String,
}

impl Process {
    pub async fn start(data: &Path, display: &Display) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_trae"));
        command.arg("serve").current_dir(data).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("DATA_DIR", data).env("PORT", port.to_string()).env("DISPLAY_MODE", "local").env("DISPLAY", display.name());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let up = async {
            while reqwest::get(format!("{url}/api/health/")).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), up).await.expect("the server comes up");
        Self { child, url }
    }
}

fn files(data: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(data.join("snapshots")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_at_any_moment_each_snapshot_is_whole_or_not_there() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let display = Display::start((640, 480));
    let folder = tempfile::tempdir().unwrap();
    let client = reqwest::Client::new();
    let mut acknowledged = BTreeSet::new();
    for round in 0..6_u64 {
        let mut server = Process::start(folder.path(), &display).await;
        let (sender, mut made) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..3 {
            let (client, url, sender) = (client.clone(), format!("{}/api/snapshots/create", server.url), sender.clone());
            tokio::spawn(async move {
                while let Ok(answer) = client.post(&url).json(&json!({})).send().await {
                    let Ok(snapshot) = answer.json::<Value>().await else { return };
                    let _ = sender.send(snapshot["snapshot_id"].as_str().unwrap().to_owned());
                }
            });
        }
        drop(sender);
        acknowledged.insert(made.recv().await.unwrap());
        tokio::time::sleep(Duration::from_millis(round * 37)).await;
        server.child.kill().await.unwrap();
        while let Some(id) = made.recv().await {
            acknowledged.insert(id);
        }
    }
    let server = Process::start(folder.path(), &display).await;
    let mut kept = BTreeMap::new();
    loop {
        let url = format!("{}/api/snapshots/list?limit=500&offset={}", server.url, kept.len());
        let page: Value = client.get(url).send().await.unwrap().json().await.unwrap();
        let ids = page["snapshots"].as_array().unwrap().clone();
        if ids.is_empty() {
            break;
        }
        for id in ids {
            let id = id.as_str().unwrap().to_owned();
            let bytes = client.get(format!("{}/api/snapshots/{id}/image", server.url)).send().await.unwrap().bytes().await.unwrap();
            let picture = image::load_from_memory(&bytes).unwrap_or_else(|error| panic!("{id}: {error}"));
            kept.insert(id, (picture.width(), picture.height()));
        }
    }
    assert!(kept.values().all(|size| *size == (640, 480)));
    let lost: Vec<_> = acknowledged.iter().filter(|id| !kept.contains_key(*id)).collect();
    assert!(lost.is_empty(), "{} of {} that were promised are gone", lost.len(), acknowledged.len());
    assert_eq!(files(folder.path()), kept.keys().map(|id| format!("{id}.jpg")).collect());
}

async fn app(data: PathBuf, change: impl FnOnce(&mut Config)) -> Arc<App> {
    let mut config = Config::default();
    config.storage.data_dir = data;
    config.desktop.mode = DisplayMode::Virtual;
    config.desktop.virtual_size = (320, 200);
    change(&mut config);
    let options = Options { runner: env!("CARGO_BIN_EXE_trae").into(), allowed: Permissions::all() };
    Arc::new(App::with(config, options).await.unwrap())
}

async fn take(app: &App) -> String {
    let grant = trae::policy::Grant::new(vec![Permissions::all()], app.config.storage.data_dir.join("files"));
    let request = serde_json::from_value(json!({})).unwrap();
    app.snapshots.create(&grant, request).await.unwrap().snapshot_id
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_start_orphans_of_either_kind_are_put_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let first = app(folder.path().to_path_buf(), |_| {}).await;
    let (whole, without_image, a_link) = (take(&first).await, take(&first).await, take(&first).await);
    first.shutdown().await;
    drop(first);
    let images = folder.path().join("snapshots");
    std::fs::remove_file(images.join(format!("{without_image}.jpg"))).unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    std::fs::remove_file(images.join(format!("{a_link}.jpg"))).unwrap();
    symlink(&secret, images.join(format!("{a_link}.jpg"))).unwrap();
    // What a crash leaves, and what is none of TRAE's.
    std::fs::write(images.join("0199c3a0-5f0e-7c3a-9b1e-0d2f4a6b8c01.png"), "no record").unwrap();
    std::fs::write(images.join(".new-0199c3a0-5f0e-7c3a-9b1e-0d2f4a6b8c02.jpg"), "half").unwrap();
    std::fs::write(images.join("notes.txt"), "mine").unwrap();

    let second = app(folder.path().to_path_buf(), |_| {}).await;
    assert_eq!(second.snapshots.list(10, 0).await.unwrap(), (vec![whole.clone()], 1));
    assert_eq!(files(folder.path()), BTreeSet::from([format!("{whole}.jpg"), "notes.txt".to_owned()]));
    assert!(second.snapshots.get(&without_image).await.is_err());
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "secret");
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_beside_a_server_leaves_alone_what_that_is_making() {
    let folder = tempfile::tempdir().unwrap();
    let server = app(folder.path().to_path_buf(), |_| {}).await;
    // As it is between the image and its record.
    let making = "0199c3a0-5f0e-7c3a-9b1e-0d2f4a6b8c03.jpg";
    std::fs::write(folder.path().join("snapshots").join(making), "image").unwrap();
    let command = app(folder.path().to_path_buf(), |_| {}).await;
    command.shutdown().await;
    assert_eq!(files(folder.path()), BTreeSet::from([making.to_owned()]));
    server.shutdown().await;
    app(folder.path().to_path_buf(), |_| {}).await.shutdown().await;
    assert!(files(folder.path()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_start_the_aged_and_the_surplus_go() {
    let folder = tempfile::tempdir().unwrap();
    let first = app(folder.path().to_path_buf(), |_| {}).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(take(&first).await);
    }
    let size = first.snapshots.get(&ids[0]).await.unwrap().size_bytes;
    first.shutdown().await;
    drop(first);
    let month = 31 * 86_400_000_000_i64;
    let database = rusqlite::Connection::open(folder.path().join("trae.db")).unwrap();
    for old in [&ids[0], &ids[2]] {
        database.execute("UPDATE snapshots SET created_at = created_at - ? WHERE id = ?", (month, old)).unwrap();
    }
    drop(database);
    let left = |app: Arc<App>| async move {
        let list = app.snapshots.list(10, 0).await.unwrap().0;
        app.shutdown().await;
        list
    };

    let kept = app(folder.path().to_path_buf(), |config| config.snapshots.max_age = None).await;
    assert_eq!(left(kept).await.len(), 4);
    let aged = app(folder.path().to_path_buf(), |_| {}).await;
    assert_eq!(left(aged).await, [ids[3].clone(), ids[1].clone()]);
    let smaller = app(folder.path().to_path_buf(), |config| config.snapshots.max_total = Some(size + size / 2)).await;
    assert_eq!(left(smaller).await, [ids[3].clone()]);
    assert_eq!(files(folder.path()), BTreeSet::from([format!("{}.jpg", ids[3])]));
}
