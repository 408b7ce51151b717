//! What a node type is: everything its file's header says.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::policy::Permissions;

/// A node type, as its Rhai file describes it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeType {
    /// Its name: the file's, such as `click_action`.
    pub node_type: String,
    /// Its name for people, such as `Click`.
    pub name: String,
    /// What it does: the prose at the head of its file.
    pub description: String,
    /// Its shelf in a palette.
    pub category: Category,
    /// How the compiler treats it.
    pub kind: NodeKind,
    /// A hint for a palette's picture.
    pub icon: String,
    /// Where edges come in; none for a trigger.
    pub inputs: Vec<Port>,
    /// Where edges go out; a branch chooses one, the first is the usual one.
    pub outputs: Vec<Port>,
    /// Config fields (JSON Pointers, `*` = every item) whose texts name further outputs, as `/cases/*/handle` of `switch`.
    pub outputs_from: Vec<String>,
    /// JSON Schema of its config. A field with `"expression": true` is an expression without braces; `"sink"` says of one what becomes of
    /// its text where that is read as more than data: `shell`, `argv`, `url`, `keys` or `key`.
    pub schema: Value,
    /// A config that its schema accepts.
    pub template: Value,
    /// The permissions it needs. A text `config.<field>` stands for that field's value, or for anything (`*`) where the value is
    /// an expression.
    pub permissions: Value,
    /// What happens to a step of this type that was under way when the server died.
    pub on_interrupt: OnInterrupt,
    /// The file it comes from.
    pub file: String,
    /// The file's text.
    #[serde(skip)]
    pub source: String,
    /// Whether it comes with TRAE or from a user's folder.
    pub builtin: bool,
}

/// A shelf in a palette.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Starts a run.
    Trigger,
    /// Does something.
    Action,
    /// Decides where the run goes.
    Flow,
    /// Works on data.
    Data,
    /// Talks to other systems.
    Integration,
}

/// How the compiler treats a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// A start: no inputs.
    Trigger,
    /// One output.
    Action,
    /// Chooses one of several outputs.
    Branch,
    /// Runs what hangs on its output `item` once for each item, then goes on at `done`.
    Loop,
    /// Runs what hangs on each of its other outputs side by side, then goes on at `done`.
    Parallel,
}

impl NodeKind {
    /// Whether it repeats what hangs on some of its outputs, before it goes on.
    pub fn is_loop(self) -> bool {
        match self {
            Self::Loop | Self::Parallel => true,
            Self::Trigger | Self::Action | Self::Branch => false,
        }
    }
}

/// What happens to a step that was under way when the server died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnInterrupt {
    /// The run is interrupted: doing it twice could do harm.
    #[default]
    Fail,
    /// It runs again.
    Retry,
}

/// Where an edge begins or ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// What an edge's handle names.
    pub id: String,
    /// What a person reads.
    pub label: String,
}

/// A port as a header spells it: its id alone, or with a label.
#[derive(Deserialize)]
#[serde(untagged)]
enum PortInput {
    Id(String),
    Labelled(Port),
}

impl From<PortInput> for Port {
    fn from(port: PortInput) -> Self {
        match port {
            PortInput::Labelled(port) => port,
            PortInput::Id(id) => {
                let mut label: String = id.replace('_', " ");
                if let Some(first) = label.get(..1) {
                    let upper = first.to_uppercase();
                    label.replace_range(..1, &upper);
                }
                Self { id, label }
            }
        }
    }
}

/// The header of a node type's file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderInput {
    name: Option<String>,
    category: Category,
    kind: Option<NodeKind>,
    #[serde(default)]
    icon: String,
    inputs: Option<Vec<PortInput>>,
    outputs: Option<Vec<PortInput>>,
    #[serde(default)]
    outputs_from: Vec<String>,
    #[serde(default)]
    permissions: Map<String, Value>,
    #[serde(default)]
    on_interrupt: OnInterrupt,
    #[serde(default)]
    config: Map<String, Value>,
    template: Option<Value>,
}

impl NodeType {
    /// The node type `name`, as the header of its file says: `doc` is the header's prose, `table` its TOML.
    pub fn from_header(name: &str, file: &str, source: &str, doc: &str, table: &toml::Table, builtin: bool) -> Result<Self, String> {
        let header: HeaderInput = toml::Value::Table(table.clone())
            .try_into()
            .map_err(|error: toml::de::Error| format!("the header of {file} is not one of a node type: {}", error.message()))?;
        let kind = header.kind.unwrap_or(if header.category == Category::Trigger { NodeKind::Trigger } else { NodeKind::Action });
        let ports = |given: Option<Vec<PortInput>>, usual: &[&str]| -> Vec<Port> {
            given.map_or_else(
                || usual.iter().map(|id| PortInput::Id((*id).to_owned()).into()).collect(),
                |ports| ports.into_iter().map(Port::from).collect(),
            )
        };
        let inputs = ports(header.inputs, if kind == NodeKind::Trigger { &[] } else { &["input"] });
        let outputs = match kind {
            NodeKind::Loop => ports(header.outputs, &["item", "done"]),
            NodeKind::Parallel => ports(header.outputs, &["done"]),
            _ => ports(header.outputs, &["out"]),
        };
        if kind == NodeKind::Loop && outputs.len() != 2 {
            return Err(format!("the header of {file}: a loop has two outputs, the body's first and the one it goes on at second"));
        }
        if let Some(bad) = header.outputs_from.iter().find(|pointer| !pointer.starts_with('/')) {
            return Err(format!("the header of {file}: outputs_from {bad:?} is no JSON Pointer; write it like \"/cases/*/handle\""));
        }
        check_permissions(&header.permissions).map_err(|message| format!("the header of {file}: {message}"))?;
        let schema = schema_of(name, doc, header.config).map_err(|message| format!("the header of {file}: {message}"))?;
        let template = header.template.unwrap_or_else(|| example_of(&schema));
        // Those inside a release binary were checked by the tests.
        if !builtin || cfg!(debug_assertions) {
            check_template(&schema, &template).map_err(|message| format!("the header of {file}: {message}"))?;
        }
        Ok(Self {
            node_type: name.to_owned(),
            name: header.name.unwrap_or_else(|| name.replace('_', " ")),
            description: doc.trim().to_owned(),
            category: header.category,
            kind,
            icon: header.icon,
            inputs,
            outputs,
            outputs_from: header.outputs_from,
            schema,
            template,
            permissions: Value::Object(header.permissions),
            on_interrupt: header.on_interrupt,
            file: file.to_owned(),
            source: source.to_owned(),
            builtin,
        })
    }
}

/// The template is a config that the schema accepts.
fn check_template(schema: &Value, template: &Value) -> Result<(), String> {
    let validator = super::schema::validator(schema)?;
    let config = template.as_object().ok_or("the template is not a table")?;
    match super::schema::faults(&validator, schema, config).first() {
        Some(fault) => Err(format!("its template does not fit its config at {:?}: {}", fault.path, fault.message)),
        None => Ok(()),
    }
}

/// Permissions as manifests spell them; texts `config.<field>` are texts like any other here.
fn check_permissions(permissions: &Map<String, Value>) -> Result<(), String> {
    serde_json::from_value::<Permissions>(Value::Object(permissions.clone())).map(|_| ()).map_err(|error| format!("permissions: {error}"))
}

/// The schema of a config whose fields are these fragments; `required = true` in a fragment makes its field required.
fn schema_of(name: &str, doc: &str, fields: Map<String, Value>) -> Result<Value, String> {
    let mut required = Vec::new();
    let mut properties = Map::new();
    for (field, mut fragment) in fields {
        let Value::Object(keywords) = &mut fragment else {
            return Err(format!("config.{field} is not a table of JSON Schema keywords"));
        };
        if let Some(Value::Bool(is_required)) = keywords.get("required") {
            if *is_required {
                required.push(Value::String(field.clone()));
            }
            keywords.shift_remove("required");
        }
        if let Some(unknown) = fragment.get("sink").filter(|_| super::taint::sink(Some(&fragment)).is_none()) {
            return Err(format!("config.{field}: there is no sink {unknown}; there are shell, argv, stdin, env, url, keys and key"));
        }
        properties.insert(field, fragment);
    }
    Ok(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": name,
        "description": doc.trim(),
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    }))
}

/// A config that has what is required, from examples and defaults.
fn example_of(schema: &Value) -> Value {
    let required = schema["required"].as_array().map_or(&[] as &[Value], Vec::as_slice).iter().filter_map(Value::as_str);
    Value::Object(required.map(|field| (field.to_owned(), example_value(&schema["properties"][field]))).collect())
}

fn example_value(fragment: &Value) -> Value {
    let first = |keyword: &str| fragment[keyword].as_array().and_then(|items| items.first()).cloned();
    first("examples")
        .or_else(|| fragment.get("default").cloned())
        .or_else(|| first("enum"))
        .or_else(|| fragment.get("minimum").cloned())
        .unwrap_or_else(|| match fragment["type"].as_str() {
            Some("integer" | "number") => json!(0),
            Some("boolean") => json!(false),
            Some("array") => json!([]),
            Some("object") => json!({}),
            Some("null") => Value::Null,
            _ => json!(""),
        })
}
