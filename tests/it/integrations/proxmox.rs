//! The Proxmox client against a fake: an HTTPS server with a certificate of its own that answers as Proxmox VE does. The real thing
//! cannot be had on a test machine.

use std::net::SocketAddr;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use trae::integrations::proxmox::{Error, Proxmox, Settings, Version};

use crate::cli::trae::{Place, stdout};
use crate::support::certificate::Certificate;

const TICKET: &str = "PVE:root@pam:66666666::a+b/c==";
const TOKEN: &str = "trae@pve!desk=0b5b5b5b-aaaa-4444-8888-000000000000";

/// What the fake does beside the usual.
#[derive(Clone, Copy, Default)]
struct Manner {
    second_factor: bool,
    strange: bool,
}

struct Fake {
    address: SocketAddr,
    certificate: Certificate,
    shutdown: CancellationToken,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

async fn ticket(State(manner): State<Manner>, body: String) -> Response {
    if body != "username=root%40pam&password=p%26ss+w%C3%B6rd" {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let mut data = json!({ "ticket": TICKET, "CSRFPreventionToken": "66666666:x", "username": "root@pam" });
    if manner.second_factor {
        data["NeedTFA"] = json!(1);
    }
    Json(json!({ "data": data })).into_response()
}

async fn version(State(manner): State<Manner>, headers: HeaderMap) -> Response {
    let is = |name: &str, value: &str| headers.get(name).is_some_and(|sent| sent == value);
    let known = is("cookie", "PVEAuthCookie=PVE%3Aroot%40pam%3A66666666%3A%3Aa%2Bb%2Fc%3D%3D")
        || is("authorization", &format!("PVEAPIToken={TOKEN}"));
    match (known, manner.strange) {
        (false, _) => StatusCode::UNAUTHORIZED.into_response(),
        (true, true) => "<html>a printer</html>".into_response(),
        (true, false) => Json::<Value>(json!({ "data": { "version": "8.2.4", "release": "8.2", "repoid": "x" } })).into_response(),
    }
}

async fn fake(manner: Manner) -> Fake {
    let certificate = Certificate::new("127.0.0.1");
    let routes = Router::new()
        .route("/api2/json/access/ticket", routing::post(ticket))
        .route("/api2/json/version", routing::get(version))
        .with_state(manner);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    tokio::spawn(trae::api::serve(vec![listener], routes, Some(certificate.tls()), 16, shutdown.clone()));
    Fake { address, certificate, shutdown }
}

impl Fake {
    async fn ask(&self, username: &str, password: &str, fingerprint: Option<[u8; 32]>) -> Result<Version, Error> {
        let settings = Settings {
            host: self.address.ip().to_string(),
            port: self.address.port(),
            username: username.to_owned(),
            password: password.to_owned(),
            fingerprint,
        };
        Proxmox::new(settings)?.check().await
    }

    fn pin(&self) -> Option<[u8; 32]> {
        Some(self.certificate.fingerprint())
    }
}

#[tokio::test]
async fn it_logs_in_by_password_and_by_token() {
    let fake = fake(Manner::default()).await;
    let found = fake.ask("root@pam", "p&ss wörd", fake.pin()).await.unwrap();
    assert_eq!(found, Version { version: "8.2.4".to_owned(), release: "8.2".to_owned() });
    assert!(fake.ask("", TOKEN, fake.pin()).await.is_ok());
    let (user, secret) = TOKEN.split_once('=').unwrap();
    assert!(fake.ask(user, secret, fake.pin()).await.is_ok());
    let refused = fake.ask("root@pam", "wrong", fake.pin()).await.unwrap_err();
    assert!(refused.is_refusal() && refused.to_string().contains("root@pam") && !refused.to_string().contains("wrong"), "{refused}");
    let refused = fake.ask("", "trae@pve!desk=11111111-aaaa-4444-8888-000000000000", fake.pin()).await.unwrap_err();
    assert!(refused.is_refusal() && !refused.to_string().contains("11111111"), "{refused}");
}

#[tokio::test]
async fn a_certificate_of_its_own_is_trusted_only_when_pinned() {
    let fake = fake(Manner::default()).await;
    for fingerprint in [None, Some([7; 32])] {
        let error = fake.ask("root@pam", "p&ss wörd", fingerprint).await.unwrap_err();
        let said = error.to_string();
        let shown = fake.certificate.fingerprint().map(|byte| format!("{byte:02X}")).join(":");
        assert!(said.starts_with("TLS") && said.contains(&format!("PROXMOX_FINGERPRINT={shown}")), "{said}");
        assert!(matches!(error, Error::Untrusted { .. }) && !error.is_refusal());
    }
}

#[tokio::test]
async fn a_second_factor_a_stranger_and_silence_are_told_apart() {
    let doubled = fake(Manner { second_factor: true, ..Manner::default() }).await;
    let error = doubled.ask("root@pam", "p&ss wörd", doubled.pin()).await.unwrap_err();
    assert!(matches!(error, Error::SecondFactor { .. }) && error.to_string().contains("API token"), "{error}");
    let printer = fake(Manner { strange: true, ..Manner::default() }).await;
    let error = printer.ask("", TOKEN, printer.pin()).await.unwrap_err();
    assert!(matches!(error, Error::Strange { .. }), "{error}");
    printer.shutdown.cancel();
    let gone = async {
        while !matches!(printer.ask("", TOKEN, printer.pin()).await, Err(Error::Unreachable { .. })) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), gone).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_settings_reach_it() {
    let fake = fake(Manner::default()).await;
    let port = fake.address.port().to_string();
    let fingerprint = fake.certificate.fingerprint().map(|byte| format!("{byte:02x}")).join("");
    let all = [
        ("PROXMOX_HOST", "127.0.0.1"),
        ("PROXMOX_PORT", port.as_str()),
        ("PROXMOX_USERNAME", "root@pam"),
        ("PROXMOX_PASSWORD", "p&ss wörd"),
        ("PROXMOX_FINGERPRINT", fingerprint.as_str()),
        ("DISPLAY_MODE", "none"),
    ];
    let ask = |changed: Option<(&str, &str)>| {
        let place = Place::new();
        let mut environment = all.to_vec();
        environment.extend(changed);
        let report: Value = serde_json::from_str(&stdout(&place.run(&["doctor", "--json"], &environment))).unwrap();
        let found = report["findings"].as_array().unwrap().iter().find(|finding| finding["part"] == "proxmox").unwrap().clone();
        (found["status"].clone(), found["details"].as_str().unwrap().to_owned())
    };
    let (status, details) = ask(None);
    assert!(status == "ok" && details.contains("Proxmox VE 8.2.4"), "{details}");
    for (variable, value, said) in [
        ("PROXMOX_USERNAME", "other@pve", "other@pve"),
        ("PROXMOX_PASSWORD", "something else", "PROXMOX_PASSWORD"),
        ("PROXMOX_FINGERPRINT", "", "PROXMOX_FINGERPRINT="),
    ] {
        let (status, details) = ask(Some((variable, value)));
        assert!(status == "broken" && details.contains(said) && !details.contains("something else"), "{variable}: {details}");
    }
}
