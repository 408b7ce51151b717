//! The shipped node types, and the shape of a script.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use trae::script::expression::RhaiExpressions;
use trae::script::header;
use trae::workflow::{Compiled, Graph, NodeType, NodeTypes, compile};

/// A catalogue of fixed node types.
pub struct Types(pub BTreeMap<String, Arc<NodeType>>);

impl NodeTypes for Types {
    fn get(&self, name: &str) -> Option<Arc<NodeType>> {
        self.0.get(name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// The files in `stdlib/nodes`.
pub fn node_files() -> Vec<(String, PathBuf, String)> {
    let mut files: Vec<_> = std::fs::read_dir(root().join("stdlib/nodes"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "rhai"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path.clone(), std::fs::read_to_string(path).unwrap()))
        .collect();
    files.sort();
    files
}

pub fn node_type(name: &str, source: &str) -> Result<NodeType, String> {
    let header = header::parse(source).map_err(|error| format!("{name}, line {}: {error}", error.line))?;
    NodeType::from_header(name, &format!("stdlib/nodes/{name}.rhai"), source, &header.doc, &header.table, true)
}

static SHIPPED: LazyLock<Types> = LazyLock::new(|| {
    Types(node_files().into_iter().map(|(name, _, source)| (name.clone(), Arc::new(node_type(&name, &source).unwrap()))).collect())
});

pub fn shipped() -> &'static Types {
    &SHIPPED
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn compiled(graph: serde_json::Value) -> Compiled {
    compile(&serde_json::from_value::<Graph>(graph).unwrap(), shipped(), &RhaiExpressions)
}

/// An engine that parses what graphs compile to, as generously as the runner does.
#[expect(deprecated, reason = "as in the engine that runs scripts")]
pub fn parser() -> rhai::Engine {
    let mut engine = rhai::Engine::new_raw();
    engine.on_parse_token(|token, _, _| match token {
        rhai::Token::Reserved(word) if *word == "use" => rhai::Token::Identifier(word),
        token => token,
    });
    engine.set_optimization_level(rhai::OptimizationLevel::None);
    engine.set_max_expr_depths(512, 512);
    engine
}
