//! What a new script or node type begins with: a text that loads as it is, and says what stands where.

use super::folder;

/// What is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Starter {
    /// A script.
    Script,
    /// A node type.
    NodeType,
}

impl Starter {
    /// Its path in the library, if it can have that name.
    pub fn path(self, name: &str) -> Option<String> {
        let name = name.strip_suffix(".rhai").unwrap_or(name);
        let path = match self {
            Self::Script => format!("{name}.rhai"),
            Self::NodeType => format!("nodes/{name}.rhai"),
        };
        let fits = folder::is_path(&path) && folder::node_type(&path).is_some() == (self == Self::NodeType);
        fits.then_some(path)
    }

    /// Its text. `name` is what people are to read.
    pub fn text(self, name: &str) -> String {
        let text = match self {
            Self::Script => include_str!("../../stdlib/starters/script.rhai"),
            Self::NodeType => include_str!("../../stdlib/starters/node.rhai"),
        };
        let title = name.rsplit('/').next().unwrap_or(name).trim_end_matches(".rhai").replace(['_', '-'], " ");
        let mut letters = title.chars();
        let title: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
        text.replace("@NAME@", &title.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_starter_has_its_place_and_its_name() {
        assert_eq!(Starter::Script.path("reports/daily").as_deref(), Some("reports/daily.rhai"));
        assert_eq!(Starter::Script.path("daily.rhai").as_deref(), Some("daily.rhai"));
        assert_eq!(Starter::NodeType.path("read_invoice").as_deref(), Some("nodes/read_invoice.rhai"));
        for name in ["", "../x", "a//b", ".x", "nodes/x"] {
            assert_eq!(Starter::Script.path(name), None, "{name}");
        }
        assert_eq!(Starter::NodeType.path("a/b"), None);
        assert!(Starter::NodeType.text("read_invoice").contains("name = \"Read invoice\""));
        assert!(Starter::Script.text("a \"b\"").contains("name = \"A \\\"b\\\"\""));
    }
}
