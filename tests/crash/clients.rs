//! Who uses the server until it is gone, and writes down what it promised.
//!
//! Each client is one function in [`ALL`]; a new kind of promise is one more of them, and a page in the book.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::Method;
use serde_json::{Value, json};

use crate::book::Book;
use crate::flows;
use crate::seed::Seed;

/// No answer comes later than this.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A client's work, until nobody answers any more.
pub type Work = fn(Client) -> BoxFuture<'static, Silence>;

/// Every client.
pub const ALL: &[Work] = &[
    |client| Box::pin(draws(client)),
    |client| Box::pin(writes(client)),
    |client| Box::pin(takes_pictures(client)),
    |client| Box::pin(runs(client)),
    |client| Box::pin(runs(client)),
    |client| Box::pin(calls(client)),
    |client| Box::pin(decides(client)),
    |client| Box::pin(drops(client)),
];

/// Nobody answered: the server is gone.
#[derive(Debug)]
pub struct Silence;

/// A connection to the server, and the book.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    /// The data folder's `files/`.
    files: PathBuf,
    pub book: Arc<Book>,
    pub seed: Seed,
}

/// What the server said.
#[derive(Debug)]
pub struct Said {
    pub status: u16,
    pub body: Value,
}

impl Said {
    pub fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Client {
    pub fn new(url: String, files: PathBuf, book: Arc<Book>, seed: Seed) -> Self {
        let http = reqwest::Client::builder().timeout(ANSWER_WITHIN).build().unwrap();
        Self { http, url, files, book, seed }
    }

    /// Another client of the same server.
    pub fn beside(&self, seed: Seed) -> Self {
        Self { seed, ..self.clone() }
    }

    /// The bytes of an answer, whatever they are.
    pub async fn bytes(&self, path: &str) -> Result<(u16, Vec<u8>), Silence> {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await.map_err(|_| Silence)?;
        let status = answer.status().as_u16();
        Ok((status, answer.bytes().await.map_err(|_| Silence)?.to_vec()))
    }

    pub async fn get(&self, path: &str) -> Result<Said, Silence> {
        self.ask(Method::GET, path, None).await
    }

    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Said, Silence> {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|_| Silence)?;
        let status = answer.status().as_u16();
        let text = answer.text().await.map_err(|_| Silence)?;
        Ok(Said { status, body: serde_json::from_str(&text).unwrap_or(Value::Null) })
    }

    async fn breathe(&mut self, most: u64) {
        tokio::time::sleep(Duration::from_millis(self.seed.below(most))).await;
    }

    /// Writes `value` (null: removes what is there) at `path`, and puts down what came of it.
    async fn keep(&self, method: Method, to: &str, path: &str, value: &Value) -> Result<(), Silence> {
        self.book.trying(path, value);
        let said = self.ask(method, to, (!value.is_null()).then_some(value)).await?;
        match said.is_good() {
            true => self.book.wrote(path, value),
            false => self.book.refused(path),
        }
        Ok(())
    }

    async fn drawing(&mut self) -> Result<(), Silence> {
        let (number, revision) = (self.seed.below(6), self.seed.below(1 << 32));
        let path = format!("/api/workflows/drawn-{number}");
        let known = self.book.known(&path);
        let method = match &known {
            Some(Value::Null) => Method::POST,
            Some(_) if self.seed.chance(20) => Method::DELETE,
            _ => Method::PUT,
        };
        let mut drawn = flows::all().swap_remove(0);
        (drawn["id"], drawn["description"]) = (json!(format!("drawn-{number}")), json!(format!("revision {revision}")));
        let value = if method == Method::DELETE { Value::Null } else { drawn };
        let to = if method == Method::POST { "/api/workflows/" } else { path.as_str() };
        self.keep(method, to, &path, &value).await
    }

    async fn writing(&mut self) -> Result<(), Silence> {
        let (number, revision) = (self.seed.below(4), self.seed.below(1 << 32));
        let path = format!("/api/scripts/written/number-{number}.rhai");
        let there = self.book.known(&path).is_some_and(|known| !known.is_null());
        if there && self.seed.chance(15) {
            return self.keep(Method::DELETE, &path, &path, &Value::Null).await;
        }
        let source = json!({ "source": format!("//! Gives a number.\nlet revision = {revision};\nrevision") });
        self.keep(Method::PUT, &path, &path, &source).await
    }

    async fn deciding(&mut self) -> Result<(), Silence> {
        let open = self.get("/api/approvals").await?;
        for question in open.body["approvals"].as_array().into_iter().flatten().filter_map(|asked| asked["id"].as_str()) {
            let (choice, _) = self.seed.pick(&flows::CHOICES);
            let said = self.ask(Method::POST, &format!("/api/approvals/{question}"), Some(&json!({ "choice": choice }))).await?;
            if said.is_good() {
                self.book.decided(question, choice);
            }
        }
        Ok(())
    }

    /// Drops a file into the folder that is watched, whole.
    fn dropping(&mut self) -> std::io::Result<()> {
        let name = format!("{:016x}.txt", self.seed.below(u64::MAX));
        let aside = self.files.join(format!(".{name}"));
        std::fs::write(&aside, &name)?;
        std::fs::rename(aside, self.files.join(flows::INBOX).join(&name))?;
        self.book.dropped(&name);
        Ok(())
    }

    async fn running(&mut self) -> Result<(), Silence> {
        let path = match self.seed.below(flows::BY_HAND.len() as u64 + 1) {
            0 => format!("/api/scripts/{}/run", flows::STEADY),
            _ => format!("/api/workflows/{}/execute", self.seed.pick(&flows::BY_HAND)),
        };
        let wait = self.seed.chance(40);
        let said = self.ask(Method::POST, &path, Some(&json!({ "wait": wait }))).await?;
        if let (true, Some(run_id)) = (said.is_good(), said.body["run_id"].as_str()) {
            match wait {
                true => self.book.ended(&said.body),
                false => self.book.run(run_id),
            }
        }
        Ok(())
    }
}

/// Stores, changes and removes workflows.
async fn draws(mut client: Client) -> Silence {
    loop {
        if let Err(silence) = client.drawing().await {
            return silence;
        }
        client.breathe(40).await;
    }
}

/// Writes and removes scripts.
async fn writes(mut client: Client) -> Silence {
    loop {
        if let Err(silence) = client.writing().await {
            return silence;
        }
        client.breathe(60).await;
    }
}

/// Takes snapshots of the screen.
async fn takes_pictures(mut client: Client) -> Silence {
    loop {
        match client.ask(Method::POST, "/api/snapshots/create", Some(&json!({}))).await {
            Ok(said) => {
                if let (true, Some(id)) = (said.is_good(), said.body["snapshot_id"].as_str()) {
                    client.book.snapshot(id);
                }
            }
            Err(silence) => return silence,
        }
        client.breathe(80).await;
    }
}

/// Starts runs, and waits for the ends of some.
async fn runs(mut client: Client) -> Silence {
    loop {
        if let Err(silence) = client.running().await {
            return silence;
        }
        client.breathe(150).await;
    }
}

/// Calls the webhook and hears its answer.
async fn calls(mut client: Client) -> Silence {
    loop {
        match client.ask(Method::POST, &format!("/api/webhooks/{}", flows::HOOK), Some(&json!({}))).await {
            Ok(said) => {
                // Where the run fails before its answer, the answer is how it ended.
                match said.body["answered_by"].as_str() {
                    Some(run_id) => client.book.answered(run_id),
                    None => client.book.ended(&said.body),
                }
            }
            Err(silence) => return silence,
        }
        client.breathe(200).await;
    }
}

/// Answers what runs ask.
pub async fn decides(mut client: Client) -> Silence {
    loop {
        client.breathe(400).await;
        if let Err(silence) = client.deciding().await {
            return silence;
        }
    }
}

/// Drops files, also while no server is there; the last ones just before it ends.
async fn drops(mut client: Client) -> Silence {
    let watches = client.book.known(&format!("/api/workflows/{}", flows::INBOX)).is_some_and(|known| !known.is_null());
    loop {
        if watches && let Err(error) = client.dropping() {
            panic!("a file could not be dropped: {error}");
        }
        client.breathe(250).await;
        if let Err(silence) = client.get("/api/health/").await {
            if watches {
                drop(client.dropping());
            }
            return silence;
        }
    }
}

/// Lets time start no further runs.
pub async fn stop_the_clock(client: &Client) -> Result<(), Silence> {
    let id = format!("{}:tick", flows::TICKS);
    client.ask(Method::PATCH, &format!("/api/triggers/{id}"), Some(&json!({ "enabled": false }))).await.map(drop)
}

/// Has everything there that is run. Done once it is.
pub async fn prepare(client: &Client) -> Result<(), Silence> {
    let script = json!({ "source": flows::steady() });
    let path = format!("/api/scripts/{}", flows::STEADY);
    // It is refused where the runner that compiles it is killed.
    while client.book.known(&path) != Some(script.clone()) {
        client.keep(Method::PUT, &path, &path, &script).await?;
    }
    let templates = client.get("/api/node-configs/templates").await?.body.to_string();
    let known = |node: &Value| templates.contains(&format!("\"node_type\":{}", node["type"]));
    std::fs::create_dir_all(client.files.join(flows::INBOX)).unwrap();
    for flow in flows::all() {
        // What the server has no nodes for is left out.
        if !flow["nodes"].as_array().is_some_and(|nodes| nodes.iter().all(known)) {
            continue;
        }
        let path = format!("/api/workflows/{}", flow["id"].as_str().unwrap_or_default());
        if client.book.known(&path) == Some(Value::Null) {
            client.keep(Method::POST, "/api/workflows/", &path, &flow).await?;
        }
    }
    Ok(())
}
