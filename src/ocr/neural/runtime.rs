//! ONNX Runtime: loading its library, and running networks on it.
//!
//! The library belongs to the process: it is loaded once, and there is one environment in it. Numbers go in and come out as plain lists;
//! what they mean does not live here.

use std::path::Path;
use std::sync::OnceLock;

use ort::environment::Environment;
use ort::ep;
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;

/// There can only ever be one in a process: the library says so.
static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();

/// One network.
pub(super) struct Network {
    session: Session,
}

/// The library, loaded from `path` unless it is there already.
///
/// # Errors
/// What the system or the library says.
pub(super) fn load(path: &Path) -> Result<&'static Environment, String> {
    if let Some(there) = ENVIRONMENT.get() {
        return Ok(there);
    }
    let builder = ort::init_from(path).map_err(|error| format!("ONNX Runtime does not load: {error}"))?;
    let environment =
        builder.with_name("trae").with_telemetry(false).build().map_err(|error| format!("ONNX Runtime does not start: {error}"))?;
    // What it has to say beside errors belongs to nobody's log.
    environment.set_log_level(LogLevel::Fatal);
    Ok(ENVIRONMENT.get_or_init(|| environment))
}

impl Network {
    /// A network that uses so many threads.
    ///
    /// # Errors
    /// What the library says.
    pub(super) fn new(environment: &Environment, model: &[u8], threads: usize) -> Result<Self, String> {
        let build = || {
            Session::builder(environment)?
                .with_optimization_level(GraphOptimizationLevel::All)?
                .with_intra_threads(threads)?
                .with_inter_threads(1)?
                // Threads that wait by spinning would take from others what they are about to need.
                .with_intra_op_spinning(false)?
                // Pictures are of all sizes: memory that is kept for each of them only grows.
                .with_memory_pattern(false)?
                .with_execution_providers([ep::CPU::default().with_arena_allocator(false).build()])?
                .commit_from_memory(model)
                .map(|session| Self { session })
        };
        let built: ort::Result<Self> = build();
        built.map_err(|error| error.to_string())
    }

    /// A text that the network carries with it.
    pub(super) fn note(&self, name: &str) -> Option<String> {
        self.session.metadata().ok()?.custom(name)
    }

    /// Runs it over `input` of this shape, and hands what comes out to `look`, with its shape.
    ///
    /// # Errors
    /// What the library says.
    pub(super) fn run<T>(&mut self, shape: [usize; 4], input: &[f32], look: impl FnOnce(&[usize], &[f32]) -> T) -> Result<T, String> {
        let told = |error: ort::Error| error.to_string();
        let tensor = TensorRef::from_array_view((shape, input)).map_err(told)?;
        let outputs = self.session.run(ort::inputs![tensor]).map_err(told)?;
        let first = outputs.values().next().ok_or("the network gave nothing")?;
        let (shape, numbers) = first.try_extract_tensor::<f32>().map_err(told)?;
        let shape: Vec<usize> = shape.iter().map(|side| usize::try_from(*side).unwrap_or_default()).collect();
        Ok(look(&shape, numbers))
    }
}
