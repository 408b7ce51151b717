//! What an `import` finds: the scripts that were handed to the runner, by their path in the library, and nothing else.
//!
//! The engine's own file resolver reads outside its folder and overflows the stack when two files import each other.

use std::cell::RefCell;
use std::collections::HashMap;

use rhai::{Engine, EvalAltResult, Module, ModuleResolver, Position, Scope, Shared};

/// Imports within imports.
const MAX_DEPTH: usize = 32;

/// The scripts that may be imported.
pub(super) struct Imports {
    sources: HashMap<String, String>,
    loaded: RefCell<HashMap<String, Shared<Module>>>,
    loading: RefCell<Vec<String>>,
}

impl Imports {
    pub(super) fn new(sources: Vec<(String, String)>) -> Self {
        Self { sources: sources.into_iter().collect(), loaded: RefCell::default(), loading: RefCell::default() }
    }

    fn load(&self, engine: &Engine, path: &str, source: &str) -> Result<Shared<Module>, Box<EvalAltResult>> {
        let mut ast = engine.compile(source)?;
        ast.set_source(path);
        Module::eval_ast_as_new(Scope::new(), &ast, engine).map(Shared::new)
    }
}

impl ModuleResolver for Imports {
    fn resolve(&self, engine: &Engine, _: Option<&str>, path: &str, at: Position) -> Result<Shared<Module>, Box<EvalAltResult>> {
        let refuse = |message: String| Err(Box::new(EvalAltResult::ErrorRuntime(message.into(), at)));
        let path = path.strip_suffix(".rhai").unwrap_or(path);
        if let Some(module) = self.loaded.borrow().get(path) {
            return Ok(Shared::clone(module));
        }
        let Some(source) = self.sources.get(path) else {
            return refuse(format!(
                "there is no script {path:?} to import; imports name a script of the library by its path, without `.rhai`"
            ));
        };
        if self.loading.borrow().iter().any(|loading| loading == path) {
            let circle = self.loading.borrow().join(" → ");
            return refuse(format!("these scripts import each other in a circle: {circle} → {path}"));
        }
        if self.loading.borrow().len() >= MAX_DEPTH {
            return refuse(format!("imports are nested deeper than {MAX_DEPTH}"));
        }
        self.loading.borrow_mut().push(path.to_owned());
        let module = self.load(engine, path, source);
        self.loading.borrow_mut().pop();
        let module = module.map_err(|error| Box::new(EvalAltResult::ErrorInModule(path.to_owned(), error, at)))?;
        self.loaded.borrow_mut().insert(path.to_owned(), Shared::clone(&module));
        Ok(module)
    }
}
