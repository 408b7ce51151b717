//! The clipboard of a desktop: text in, text out.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A text on the clipboard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClipboardText {
    /// The text.
    pub text: String,
}
