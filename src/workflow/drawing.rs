//! A graph as its client wrote it: what TRAE does not know stays text, byte for byte.
//!
//! [`Graph`] is what TRAE understands of a drawing; reading a number into it and writing it again may spell it differently (`1e3`,
//! a thousand digits). A stored workflow therefore keeps the client's own text. Only the fields TRAE knows are touched: missing ones
//! get their defaults, and React Flow's names of handles become the wire's.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::Graph;

/// The fields of a JSON object in their order, each value as its text.
#[derive(Debug, Clone, Default)]
pub struct Fields(Vec<(String, Box<RawValue>)>);

/// A graph, and the text it is kept as.
#[derive(Debug, Clone)]
pub struct Drawing {
    graph: Graph,
    fields: Fields,
}

/// Fields that a stored workflow has of the server; in a drawing's text they are not kept.
const OF_THE_RECORD: [&str; 7] = ["id", "created_at", "updated_at", "problems", "trust", "enabled", "capabilities"];

/// Both spellings of an edge's handles: the wire's, and React Flow's.
const HANDLES: [(&str, &str); 2] = [("source_handle", "sourceHandle"), ("target_handle", "targetHandle")];

impl Fields {
    /// The text of a field's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.get())
    }

    fn put(&mut self, name: String, value: Box<RawValue>) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// Adds the fields that are missing.
    fn complete(&mut self, defaults: &[(&str, &str)]) {
        for (name, default) in defaults {
            if self.get(name).is_none() {
                self.0.push(((*name).to_owned(), raw(default)));
            }
        }
    }

    /// Makes one field of two spellings, at the place of the first. The second spelling wins unless it is null: it is the one that
    /// React Flow's editor has just changed.
    fn unite(&mut self, name: &str, other: &str) {
        let Some(at) = self.0.iter().position(|(known, _)| known == other) else { return };
        let (_, value) = self.0.remove(at);
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, kept)) if value.get() != "null" => *kept = value,
            Some(_) => {}
            None => self.0.insert(at, (name.to_owned(), value)),
        }
    }
}

impl Drawing {
    /// The drawing that `graph` was read from as `text`.
    ///
    /// # Errors
    /// Where the text is no such graph.
    pub fn new(graph: Graph, text: &str) -> Result<Self, serde_json::Error> {
        let mut fields: Fields = serde_json::from_str(text)?;
        fields.0.retain(|(name, _)| !OF_THE_RECORD.contains(&name.as_str()));
        fields.complete(&[
            ("name", "\"Untitled Workflow\""),
            ("description", "null"),
            ("nodes", "[]"),
            ("edges", "[]"),
            ("metadata", "{}"),
        ]);
        for (name, value) in &mut fields.0 {
            match name.as_str() {
                "nodes" => {
                    *value = each(value, |node| node.complete(&[("id", "\"\""), ("type", "\"\""), ("position", "{}"), ("data", "{}")]))?
                }
                "edges" => {
                    *value = each(value, |edge| {
                        for (name, other) in HANDLES {
                            edge.unite(name, other);
                        }
                        edge.complete(&[
                            ("id", "\"\""),
                            ("source", "\"\""),
                            ("target", "\"\""),
                            ("source_handle", "null"),
                            ("target_handle", "null"),
                        ]);
                    })?;
                }
                _ => {}
            }
        }
        Ok(Self { graph, fields })
    }

    /// The same without some of the fields that TRAE does not understand.
    #[must_use]
    pub fn without(mut self, names: &[&str]) -> Self {
        self.fields.0.retain(|(name, _)| !names.contains(&name.as_str()));
        self
    }

    /// What TRAE understands of it.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// What is kept.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }
}

impl From<Graph> for Drawing {
    fn from(graph: Graph) -> Self {
        let text = serde_json::to_string(&graph).unwrap_or_default();
        // A graph's own text is one.
        Self::new(graph.clone(), &text).unwrap_or(Self { graph, fields: Fields::default() })
    }
}

/// Changes each object of a list.
fn each(list: &RawValue, change: impl Fn(&mut Fields)) -> Result<Box<RawValue>, serde_json::Error> {
    let mut items: Vec<Fields> = serde_json::from_str(list.get())?;
    items.iter_mut().for_each(change);
    serde_json::value::to_raw_value(&items)
}

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Fields::default();
                while let Some((name, value)) = map.next_entry()? {
                    fields.put(name, value);
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str) -> String {
        let graph: Graph = serde_json::from_str(text).unwrap();
        serde_json::to_string(Drawing::new(graph, text).unwrap().fields()).unwrap()
    }

    #[test]
    fn what_is_not_known_stays_as_it_was_written() {
        let text = r#"{"zoom":1.0,"name":"Ünï","big":123456789012345678901234567890,"description":null,"nodes":[{"data":{"n":1e3,"m":1.50,"o":-0,"z":"\u00fc"},"z":1,"id":"a","type":"t","position":{"x":1.0,"y":1}}],"edges":[],"metadata":{"a":0.10}}"#;
        assert_eq!(kept(text), text);
    }

    #[test]
    fn handles_get_the_wires_names_and_keep_their_place() {
        let edges = |edge: &str| {
            let whole = kept(&format!(r#"{{"name":"n","description":null,"nodes":[],"edges":[{edge}],"metadata":{{}}}}"#));
            whole.split_once("\"edges\":[").unwrap().1.split_once(']').unwrap().0.to_owned()
        };
        assert_eq!(
            edges(r#"{"source":"a","sourceHandle":"true","target":"b","targetHandle":null,"id":"e","animated":true}"#),
            r#"{"source":"a","source_handle":"true","target":"b","target_handle":null,"id":"e","animated":true}"#
        );
        assert_eq!(
            edges(
                r#"{"id":"e","source":"a","target":"b","source_handle":"old","sourceHandle":"new","target_handle":"t","targetHandle":null}"#
            ),
            r#"{"id":"e","source":"a","target":"b","source_handle":"new","target_handle":"t"}"#
        );
        assert_eq!(
            edges(r#"{"id":"e","source":"a","target":"b"}"#),
            r#"{"id":"e","source":"a","target":"b","source_handle":null,"target_handle":null}"#
        );
    }

    #[test]
    fn what_is_missing_gets_its_default_and_what_the_record_has_is_left_out() {
        assert_eq!(
            kept(r#"{"id":"w","created_at":"x","problems":[],"nodes":[{"id":"a"}]}"#),
            r#"{"nodes":[{"id":"a","type":"","position":{},"data":{}}],"name":"Untitled Workflow","description":null,"edges":[],"metadata":{}}"#
        );
    }
}
