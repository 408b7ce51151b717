//! The graph: its model, its checks, and its compilation to the text of a Rhai script.
//!
//! Knows neither the script engine nor the web server: node types come in through [`NodeTypes`], expressions are checked through
//! [`Expressions`].

mod node_type;

use std::sync::Arc;

pub use node_type::{Category, NodeKind, NodeType, OnInterrupt, Port};

/// The node types there are.
pub trait NodeTypes {
    /// The type of that name.
    fn get(&self, name: &str) -> Option<Arc<NodeType>>;
    /// All names, sorted.
    fn names(&self) -> Vec<String>;
}

/// Checks the expressions of a graph, so that this room need not know the language.
pub trait Expressions {
    /// Whether `text` is one pure expression over `input`, `params`, `nodes` and `run`, without comments.
    fn check(&self, text: &str) -> Result<(), ExpressionError>;
}

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionError {
    /// A sentence.
    pub message: String,
    /// From 1, within the expression.
    pub column: u32,
}
