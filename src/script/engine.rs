//! The engine of a runner: what the language may do before any host function is added, and the programs it holds.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::rc::Rc;

use jsonschema::Validator;
use rhai::packages::{Package, StandardPackage};
use rhai::{AST, Dynamic, Engine, Map, Module, OptimizationLevel, Scope, Shared, Token};
use serde_json::Value;

use super::imports::Imports;
use super::{bind, error};
use crate::host::protocol::{Limits, NodeSource, Program, ScriptError};
use crate::policy::Permissions;

/// What every script sees beside its functions.
pub(super) const CONSTANTS: [&str; 5] = ["params", "input", "nodes", "run", "secrets"];

/// A program that compiled, ready to run any number of times.
pub(super) struct Loaded {
    pub(super) engine: Engine,
    pub(super) ast: AST,
    pub(super) name: String,
    pub(super) limits: Limits,
    pub(super) resumable: bool,
    pub(super) node_types: Rc<HashMap<String, Rc<NodeCode>>>,
}

/// A node type that compiled.
pub(super) struct NodeCode {
    pub(super) file: String,
    pub(super) ast: AST,
    pub(super) defaults: Map,
    /// Whether a step of it may run again where it was under way when its run broke off.
    pub(super) again: bool,
    schema: Value,
    validator: OnceCell<Option<Validator>>,
}

impl Loaded {
    /// Compiles `program`; all errors that can be told apart come back together.
    pub(super) fn compile(program: Program, stdlib: &Stdlib) -> Result<Self, Vec<ScriptError>> {
        if program.source.len() > program.limits.source {
            let message =
                format!("the source has {} bytes, {} are allowed: split it into modules", program.source.len(), program.limits.source);
            return Err(vec![failed(crate::error::Kind::LimitSource, message, &program.name)]);
        }
        let mut engine = engine(&program.limits, &program.permissions, stdlib).map_err(|error| vec![error])?;
        let mut errors = Vec::new();
        let imports = Imports::new(program.modules);
        let mut node_types = HashMap::new();
        for source in program.node_types {
            let name = source.name.clone();
            match NodeCode::compile(&engine, source) {
                Ok(code) => {
                    node_types.insert(name, Rc::new(code));
                }
                Err(error) => errors.push(error),
            }
        }
        let scope = constants([const { Dynamic::UNIT }; 5]);
        let ast = engine.compile_with_scope(&scope, &program.source).map_err(|e| error::of_parsing(&e, &program.name));
        if errors.is_empty() {
            errors.extend(node_types.values().flat_map(|code: &Rc<NodeCode>| imports.check(&engine, &code.ast, &code.file)));
        }
        if let Ok(ast) = &ast {
            errors.extend(imports.check(&engine, ast, &program.name));
        }
        engine.set_module_resolver(imports);
        match ast {
            Ok(ast) if errors.is_empty() => Ok(Self {
                engine,
                ast,
                name: program.name,
                limits: program.limits,
                resumable: program.resumable,
                node_types: node_types.into(),
            }),
            Ok(_) => Err(errors),
            Err(error) => {
                errors.push(error);
                Err(errors)
            }
        }
    }
}

impl NodeCode {
    fn compile(engine: &Engine, source: NodeSource) -> Result<Self, ScriptError> {
        let mut ast = engine.compile(&source.source).map_err(|e| error::of_parsing(&e, &source.file))?;
        if !ast.iter_functions().any(|function| function.name == "run" && function.params.len() == 2) {
            let message = format!("the node type {:?} has no `fn run(config, input)`", source.name);
            return Err(failed(crate::error::Kind::ScriptError, message, &source.file));
        }
        ast.set_source(source.file.as_str());
        let defaults = source.schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        let defaults =
            defaults.filter_map(|(name, field)| Some((name.as_str().into(), rhai::serde::to_dynamic(field.get("default")?).ok()?)));
        Ok(Self {
            file: source.file,
            ast,
            defaults: defaults.collect(),
            again: source.again,
            schema: source.schema,
            validator: OnceCell::new(),
        })
    }

    /// Checks a config that was worked out just now; what was written down literally was checked when the graph was compiled.
    pub(super) fn check(&self, config: &Dynamic) -> Result<(), String> {
        let Some(validator) = self.validator.get_or_init(|| jsonschema::validator_for(&self.schema).ok()) else { return Ok(()) };
        let Ok(value) = serde_json::to_value(config) else { return Ok(()) };
        let problems: Vec<_> = validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }
}

/// The language's own library, compiled once in each runner.
pub(super) struct Stdlib {
    /// Namespace and source, as `ocr` and `stdlib/ocr.rhai`.
    sources: Vec<(String, String)>,
}

impl Stdlib {
    pub(super) fn load() -> Self {
        Self { sources: super::library::stdlib_sources() }
    }

    fn source(&self, namespace: &str) -> Option<&str> {
        self.sources.iter().find(|(name, _)| name == namespace).map(|(_, source)| source.as_str())
    }
}

/// An engine with every limit set and exactly the namespaces that `permissions` open.
pub(super) fn engine(limits: &Limits, permissions: &Permissions, stdlib: &Stdlib) -> Result<Engine, ScriptError> {
    let mut engine = raw_engine(limits);
    StandardPackage::new().register_into_engine(&mut engine);
    bind::register_types(&mut engine);
    engine.register_global_module(bind::globals());
    let mut natives = Vec::new();
    for (name, module) in bind::namespaces(permissions) {
        let module: Shared<Module> = module.into();
        engine.register_static_module(name, Shared::clone(&module));
        natives.push((name, module));
    }
    // The part of a namespace that is written in the language itself is folded into the native part; the caller cannot tell.
    for (name, native) in natives {
        let Some(source) = stdlib.source(name) else { continue };
        let folded = engine.compile(source).map_err(Into::into).and_then(|mut ast| {
            ast.set_source(format!("stdlib/{name}.rhai"));
            Module::eval_ast_as_new(Scope::new(), &ast, &engine)
        });
        let script = folded.map_err(|raised: Box<rhai::EvalAltResult>| error::of_running(&raised, &format!("stdlib/{name}.rhai")))?;
        let mut both = Module::new();
        both.set_doc(native.doc());
        both.fill_with(&native).fill_with(&script);
        engine.register_static_module(name, both.into());
    }
    Ok(engine)
}

/// An engine that knows the language and nothing of ours.
pub(super) fn raw_engine(limits: &Limits) -> Engine {
    let mut engine = Engine::new_raw();
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_strict_variables(true);
    engine.set_max_call_levels(limits.depth);
    // A config may hold data nested as deep as a graph's may be, and each level of it is several of an expression.
    engine.set_max_expr_depths(256, 256);
    engine.set_max_modules(64);
    // The engine's own `sleep` cannot be interrupted; ours is a call to the server.
    engine.disable_symbol("eval");
    free_use(&mut engine);
    engine
}

/// `use` is a word that the language keeps for itself and has no use for; `desktop::use` has.
#[expect(deprecated, reason = "it is not deprecated, says its own note: it may change with the language's version, which is pinned")]
fn free_use(engine: &mut Engine) {
    engine.on_parse_token(|token, _, _| match token {
        Token::Reserved(word) if *word == "use" => Token::Identifier(word),
        token => token,
    });
}

/// The constants every script sees, in a scope: their values in the order of [`CONSTANTS`].
pub(super) fn constants(values: [Dynamic; CONSTANTS.len()]) -> Scope<'static> {
    let mut scope = Scope::new();
    for (name, value) in CONSTANTS.into_iter().zip(values) {
        scope.push_constant_dynamic(name, value);
    }
    scope
}

fn failed(code: crate::error::Kind, message: String, file: &str) -> ScriptError {
    ScriptError { code, message, node_id: None, file: Some(file.to_owned()), line: None, column: None, details: None }
}
