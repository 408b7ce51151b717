//! Files of languages that are broken, in a server that goes on.

use std::path::Path;

use serde_json::{Value, json};

use super::trae::Place;

#[tokio::test]
async fn a_language_whose_file_is_broken_is_told_and_the_server_goes_on() {
    let folders = ["/usr/share/tesseract-ocr/5/tessdata", "/usr/share/tesseract-ocr/4.00/tessdata", "/usr/share/tessdata"];
    let installed = folders.iter().map(|folder| Path::new(folder).join("eng.traineddata")).find(|file| file.exists());
    let whole = std::fs::read(installed.expect("this test needs tesseract-ocr-eng")).unwrap();
    let place = Place::new();
    let folder = place.folder.path().join("languages");
    std::fs::create_dir(&folder).unwrap();
    // English by other names: cut in the middle and right behind its beginning, and as a power cut leaves it.
    let half = &whole[..whole.len() / 2];
    let mut holed = whole.clone();
    holed[whole.len() / 2..].fill(0);
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(format!("{name}.traineddata")), bytes).unwrap();
    for (name, bytes) in [("eng", &whole[..]), ("deu", half), ("fra", &whole[..100]), ("spa", &holed), ("ita", &[])] {
        write(name, bytes);
    }
    let served = place.serve(&[("TESSDATA_PREFIX", folder.to_str().unwrap()), ("OCR_LANGUAGES", "eng")]);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let read = async |language: &str| {
        let body = json!({ "x": 0, "y": 0, "width": 60, "height": 40, "language": language });
        let answer = client.post(served.url("/api/automation/text/read")).json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    for (language, broken) in [("deu", "deu"), ("fra", "fra"), ("spa", "spa"), ("ita", "ita"), ("deu+eng", "deu"), ("eng+spa", "spa")] {
        let (status, answer) = read(language).await;
        assert_eq!((status, &answer["error_code"]), (503, &json!("SERVICE_UNAVAILABLE")), "{language}: {answer}");
        assert_eq!(answer["details"]["hint"], format!("apt-get install --reinstall tesseract-ocr-{broken}"), "{language}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(&format!("{broken}.traineddata")), "{answer}");
    }
    assert_eq!(read("eng").await.0, 200);
    // Installed again it is read, without a restart.
    write("deu", &whole);
    let (status, answer) = read("deu+eng").await;
    assert_eq!((status, &answer["language"]), (200, &json!("deu+eng")), "{answer}");
}
