//! What the fuzz targets call: each takes any bytes, and must neither panic, hang nor break what it promises.

use std::sync::{Arc, LazyLock};

use trae::policy::Commands;
use trae::script::expression::RhaiExpressions;
use trae::script::header::ScriptHeader;
use trae::script::{Catalog, Library, Settings};
use trae::workflow::{Graph, compile};

static CATALOG: LazyLock<Arc<Catalog>> = LazyLock::new(|| Library::open(Settings { folders: Vec::new(), reload: false }).catalog());

/// A graph: what compiles has a header that reads, declares what was worked out, and comes out the same each time.
pub fn graph(data: &[u8]) {
    let Ok(graph) = serde_json::from_slice::<Graph>(data) else { return };
    let compiled = compile(&graph, CATALOG.as_ref(), &RhaiExpressions);
    if !compiled.is_valid() {
        return;
    }
    let header = ScriptHeader::parse(&compiled.script);
    assert!(header.is_ok_and(|header| header.permissions == compiled.permissions), "{}", compiled.script);
    assert_eq!(compile(&graph, CATALOG.as_ref(), &RhaiExpressions).script, compiled.script);
}

/// A script's header.
pub fn header(data: &[u8]) {
    let Ok(source) = std::str::from_utf8(data) else { return };
    if let Err(error) = trae::script::header::parse(source) {
        assert!(!error.message.is_empty());
    }
    let _ = ScriptHeader::parse(source);
}

/// A command, for each shell, with a list and without.
pub fn shell(data: &[u8]) {
    let Ok(line) = std::str::from_utf8(data) else { return };
    static ONLY_ECHO: LazyLock<Commands> = LazyLock::new(|| Commands::only(&["echo *".to_owned()]).unwrap_or_default());
    for shell in ["bash", "sh", "zsh", "fish", "powershell", "cmd"] {
        let _ = Commands::default().check(shell, line);
        let _ = ONLY_ECHO.check(shell, line);
    }
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let _ = ONLY_ECHO.check_argv(&words);
    let _ = Commands::default().check_argv(&words);
}

/// A message of a socket.
pub fn socket(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = trae::api::understands(text);
}
