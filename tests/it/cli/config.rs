//! `trae config`, and settings that cannot be used.

use super::trae::{Place, stderr, stdout};

#[test]
fn every_value_is_shown_with_its_source_and_secrets_are_not() {
    let place = Place::new();
    place.write("trae.toml", "app_name = \"From the file\"\nproxmox_host = \"pve.example\"\nproxmox_username = \"root@pam\"\n");
    place.write(".env", "PROXMOX_PASSWORD=hunter2-hunter2\n");
    let secret = "a-secret-of-more-than-thirty-two-bytes";
    let shown = stdout(&place.run(&["config"], &[("JWT_SECRET_KEY", secret), ("WORKERS", "3")]));
    for line in [
        "APP_NAME = From the file  (trae.toml)",
        "PROXMOX_PASSWORD = ***  (.env)",
        "JWT_SECRET_KEY = ***  (environment)",
        "WORKERS = 3  (environment)",
        "PORT = 8007  (default)",
        "LOG_LEVEL = info  (default)",
    ] {
        assert!(shown.lines().any(|found| found == line), "{line:?} is missing in:\n{shown}");
    }
    assert!(!shown.contains("hunter2") && !shown.contains(secret), "{shown}");
    assert!(shown.contains(&format!("LOG_FILE = {}", place.data().join("logs/backend.log").display())), "{shown}");
}

#[test]
fn a_server_with_unusable_settings_names_all_of_them_and_does_not_start() {
    let place = Place::new();
    place.write("trae.toml", "prot = 1\nocr_timeout = \"soon\"\n");
    let bad = [
        ("HOST", "0.0.0.0"),
        ("JWT_SECRET_KEY", "your-super-secret-jwt-key"),
        ("LOG_LEVEL", "verbose"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("PROXMOX_HOST", "pve.example"),
        ("PROXMOX_FINGERPRINT", "AB:CD"),
        ("TLS_CERT", "/nowhere"),
    ];
    let ended = place.run(&["serve"], &bad);
    let said = stderr(&ended);
    assert_eq!(ended.status.code(), Some(78), "{said}");
    for name in ["prot", "OCR_TIMEOUT"].into_iter().chain(bad.iter().map(|(name, _)| *name)) {
        assert!(said.contains(&format!("\n  {name} (")), "{name} is missing in:\n{said}");
    }
    assert!(said.contains("did you mean port?") && !place.data().exists(), "{said}");
}

#[test]
fn files_that_are_no_certificate_are_refused() {
    let place = Place::new();
    let file = place.write("cert.pem", "nonsense");
    let file = file.to_str().unwrap();
    let ended = place.run(&["serve"], &[("TLS_CERT", file), ("TLS_KEY", file), ("PORT", "0")]);
    assert_eq!(ended.status.code(), Some(78), "{}", stderr(&ended));
    assert!(stderr(&ended).contains("TLS_CERT="), "{}", stderr(&ended));
}

#[test]
fn whoever_can_be_listened_to_is_told_what_could_be_read() {
    let place = Place::new();
    let open = [("HOST", "0.0.0.0"), ("API_KEY_ENABLED", "true")];
    let said = place.serve(&open).end();
    assert!(said.contains("without TLS") && said.contains("can read every key"), "{said}");
    let behind = [("HOST", "0.0.0.0"), ("API_KEY_ENABLED", "true"), ("TRUSTED_PROXIES", "127.0.0.1")];
    let said = place.serve(&behind).end();
    assert!(!said.contains("without TLS"), "{said}");
}
