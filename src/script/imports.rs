//! What an `import` finds: the scripts that were handed to the runner, by their path in the library, and nothing else.
//!
//! The engine's own file resolver reads outside its folder and overflows the stack when two files import each other.
//! [`named`] tells which scripts a text imports without reading it as a program: the server does that, which must not parse what a
//! stranger wrote.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use rhai::{AST, ASTNode, Engine, EvalAltResult, Expr, FnAccess, FnCallExpr, Module, ModuleResolver, Position, Scope, Shared, Stmt};

use super::error;
use crate::error::Kind;
use crate::host::protocol::ScriptError;

mod scan;

pub(super) use scan::{Import, computed, named};

/// Imports within imports.
pub(super) const MAX_DEPTH: usize = 32;

/// The scripts that may be imported.
pub(super) struct Imports {
    sources: HashMap<String, String>,
    parsed: RefCell<HashMap<String, Rc<AST>>>,
    loaded: RefCell<HashMap<String, Shared<Module>>>,
    loading: RefCell<Vec<String>>,
}

/// How an import is spelled in the library.
pub(super) fn module_name(path: &str) -> &str {
    path.strip_suffix(".rhai").unwrap_or(path)
}

impl Imports {
    pub(super) fn new(sources: Vec<(String, String)>) -> Self {
        Self { sources: sources.into_iter().collect(), parsed: RefCell::default(), loaded: RefCell::default(), loading: RefCell::default() }
    }

    /// The module at `path`, parsed once. None where there is none.
    fn parse(&self, engine: &Engine, path: &str) -> Option<Result<Rc<AST>, rhai::ParseError>> {
        if let Some(parsed) = self.parsed.borrow().get(path) {
            return Some(Ok(Rc::clone(parsed)));
        }
        let source = self.sources.get(path)?;
        Some(engine.compile(source).map(|mut ast| {
            ast.set_source(path);
            let ast = Rc::new(ast);
            self.parsed.borrow_mut().insert(path.to_owned(), Rc::clone(&ast));
            ast
        }))
    }

    /// All that is wrong with what `ast`, which is `file`, imports by name: scripts that are not there or do not compile, circles, and
    /// functions that an imported script does not have.
    pub(super) fn check(&self, engine: &Engine, ast: &AST, file: &str) -> Vec<ScriptError> {
        let mut seen = Seen { within: vec![module_name(file).to_owned()], good: BTreeSet::new() };
        self.check_in(engine, ast, file, &mut seen)
    }

    fn check_in(&self, engine: &Engine, ast: &AST, file: &str, seen: &mut Seen) -> Vec<ScriptError> {
        let used = Used::of(ast);
        let mut errors = Vec::new();
        let mut modules: HashMap<&str, Option<Rc<AST>>> = HashMap::new();
        for (alias, path, at) in &used.imports {
            let path = module_name(path);
            let module = match self.check_module(engine, path, seen) {
                Ok(module) => Some(module),
                Err(message) => {
                    errors.push(error::placed(Kind::ScriptError, message, file, *at));
                    None
                }
            };
            // Of a name that stands for two scripts it cannot be told which one is meant.
            let known = modules.insert(alias, module.clone());
            if known.is_some() {
                modules.insert(alias, None);
            }
        }
        for (alias, call, at) in &used.calls {
            let Some(Some(module)) = modules.get(alias.as_str()) else { continue };
            let there = |f: &rhai::ScriptFnMetadata<'_>| f.name == call.0 && f.params.len() == call.1 && f.access == FnAccess::Public;
            if !module.iter_functions().any(|function| there(&function)) {
                let script = module.source().unwrap_or_default();
                let (name, arguments) = (&call.0, if call.1 == 1 { "1 parameter".to_owned() } else { format!("{} parameters", call.1) });
                let message = format!("the imported script {script:?} has no function `{name}` with {arguments}");
                errors.push(error::placed(Kind::ScriptError, message, file, *at));
            }
        }
        errors
    }

    /// A module, if nothing is wrong with it; else what is, as a sentence.
    fn check_module(&self, engine: &Engine, path: &str, seen: &mut Seen) -> Result<Rc<AST>, String> {
        if seen.within.iter().any(|file| file == path) {
            return Err(circle(&seen.within, path));
        }
        if seen.within.len() > MAX_DEPTH {
            return Err(too_deep());
        }
        let ast = match self.parse(engine, path) {
            None => return Err(missing(path)),
            Some(Err(error)) => return Err(broken(path, &error::of_parsing(&error, path))),
            Some(Ok(ast)) => ast,
        };
        if !seen.good.contains(path) {
            seen.within.push(path.to_owned());
            let errors = self.check_in(engine, &ast, path, seen);
            seen.within.pop();
            if let Some(error) = errors.first() {
                return Err(broken(path, error));
            }
            seen.good.insert(path.to_owned());
        }
        Ok(ast)
    }
}

impl ModuleResolver for Imports {
    fn resolve(&self, engine: &Engine, _: Option<&str>, path: &str, at: Position) -> Result<Shared<Module>, Box<EvalAltResult>> {
        let refuse = |message: String| Err(Box::new(EvalAltResult::ErrorRuntime(message.into(), at)));
        let path = module_name(path);
        if let Some(module) = self.loaded.borrow().get(path) {
            return Ok(Shared::clone(module));
        }
        if self.loading.borrow().iter().any(|loading| loading == path) {
            return refuse(circle(&self.loading.borrow(), path));
        }
        if self.loading.borrow().len() >= MAX_DEPTH {
            return refuse(too_deep());
        }
        let Some(parsed) = self.parse(engine, path) else { return refuse(missing(path)) };
        self.loading.borrow_mut().push(path.to_owned());
        let module = parsed.map_err(Into::into).and_then(|ast| Module::eval_ast_as_new(Scope::new(), &ast, engine));
        self.loading.borrow_mut().pop();
        let module = module.map_err(|error| Box::new(EvalAltResult::ErrorInModule(path.to_owned(), error, at)))?;
        let module = Shared::new(module);
        self.loaded.borrow_mut().insert(path.to_owned(), Shared::clone(&module));
        Ok(module)
    }
}

/// Where a check is, and what it need not look at again.
struct Seen {
    within: Vec<String>,
    good: BTreeSet<String>,
}

/// What a program uses of other scripts.
#[derive(Default)]
struct Used {
    /// Alias, path, place.
    imports: Vec<(String, String, Position)>,
    /// Alias, the function with the number of its arguments, place.
    calls: Vec<(String, (String, usize), Position)>,
}

impl Used {
    fn of(ast: &AST) -> Self {
        let mut used = Self::default();
        ast.walk(&mut |nodes: &[ASTNode<'_>]| {
            match nodes.last() {
                Some(ASTNode::Stmt(Stmt::Import(import, at))) => {
                    if let Expr::StringConstant(path, _) = &import.0 {
                        used.imports.push((import.1.name.to_string(), path.to_string(), *at));
                    }
                }
                Some(ASTNode::Stmt(Stmt::FnCall(call, at)) | ASTNode::Expr(Expr::FnCall(call, at))) => used.call(call, *at),
                _ => {}
            }
            true
        });
        used
    }

    fn call(&mut self, call: &FnCallExpr, at: Position) {
        if let [alias] = &call.namespace.path[..] {
            self.calls.push((alias.name.to_string(), (call.name.to_string(), call.args.len()), at));
        }
    }
}

/// Says that there is no such script.
fn missing(path: &str) -> String {
    format!("there is no script {path:?} to import; imports name a script of the library by its path, without `.rhai`")
}

/// Says that imports are nested too deep.
pub(super) fn too_deep() -> String {
    format!("imports are nested deeper than {MAX_DEPTH}")
}

/// Says that scripts import each other.
pub(super) fn circle(within: &[String], path: &str) -> String {
    let start = within.iter().position(|file| file == path).unwrap_or_default();
    format!("these scripts import each other in a circle: {} → {path}", within[start..].join(" → "))
}

fn broken(path: &str, error: &ScriptError) -> String {
    let place = |line: u32| format!(":{line}:{}", error.column.unwrap_or(1));
    format!("it imports {path}.rhai, which is broken: {path}.rhai{}: {}", error.line.map(place).unwrap_or_default(), error.message)
}
