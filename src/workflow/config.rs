//! The config of a node as a part of the script: literals, and the expressions in them.

use serde_json::{Map, Value};

use super::argv::argv_faults;
use super::literal::{push_key, push_list, push_map, push_number, push_string, push_value};
use super::schema::{escaped, field, is_expression, items};
use super::taint::{Reading, Sink, sink};
use super::template::{Piece, split, unbraced};
use super::{ExpressionError, Expressions};

/// Something that is wrong with an expression in a config.
pub(super) struct Fault {
    /// JSON Pointer within the config.
    pub(super) path: String,
    pub(super) message: String,
}

/// Checks every expression in `config`. Gives whether there is any.
pub(super) fn check(config: &Map<String, Value>, schema: &Value, expressions: &dyn Expressions, faults: &mut Vec<Fault>) -> bool {
    let mut checking = Checking { reading: Reading::of(config, schema), expressions, faults };
    config.iter().fold(false, |found, (name, value)| checking.value(value, field(schema, name), &format!("/{}", escaped(name))) | found)
}

/// The names of the secrets in the expressions of `config`.
pub(super) fn secrets(config: &Map<String, Value>, schema: &Value, expressions: &dyn Expressions) -> Vec<String> {
    let mut names = Vec::new();
    let mut work: Vec<(&Value, Option<&Value>)> = config.iter().map(|(name, value)| (value, field(schema, name))).collect();
    while let Some((value, schema)) = work.pop() {
        match value {
            Value::String(text) if is_expression(schema) => names.extend(expressions.secrets(unbraced(text))),
            Value::String(text) if text.contains("{{") => {
                for piece in split(text).unwrap_or_default() {
                    if let Piece::Expression(expression, _) = piece {
                        names.extend(expressions.secrets(expression));
                    }
                }
            }
            Value::Array(list) => work.extend(list.iter().map(|item| (item, schema.and_then(items)))),
            Value::Object(fields) => {
                work.extend(fields.iter().map(|(name, value)| (value, schema.and_then(|schema| field(schema, name)))));
            }
            _ => {}
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

struct Checking<'a> {
    reading: Reading<'a>,
    expressions: &'a dyn Expressions,
    faults: &'a mut Vec<Fault>,
}

impl Checking<'_> {
    fn value(&mut self, value: &Value, schema: Option<&Value>, path: &str) -> bool {
        let mut found = false;
        match value {
            Value::String(text) if is_expression(schema) => {
                found = true;
                check_one(unbraced(text), 0, path, self.expressions, self.faults);
            }
            Value::String(text) if text.contains("{{") => match split(text) {
                Err(unclosed) => {
                    let message = format!(
                        "the `{{{{` at column {} is not closed: end the expression with `}}}}`, or write `\\{{{{` for plain braces",
                        unclosed.column
                    );
                    self.faults.push(Fault { path: path.to_owned(), message });
                }
                Ok(pieces) => {
                    for (at, piece) in pieces.iter().enumerate() {
                        let Piece::Expression(expression, column) = piece else { continue };
                        found = true;
                        check_one(expression, *column, path, self.expressions, self.faults);
                        let fault = sink(schema).and_then(|sink| self.reading.fault(sink, &pieces, at));
                        self.faults.extend(fault.map(|message| Fault { path: path.to_owned(), message }));
                    }
                }
            },
            Value::Array(list) => {
                let part = schema.and_then(items);
                for (index, item) in list.iter().enumerate() {
                    found |= self.value(item, part, &format!("{path}/{index}"));
                }
                if sink(schema) == Some(Sink::Argv) {
                    let faults = argv_faults(list).into_iter();
                    self.faults.extend(faults.map(|(index, message)| Fault { path: format!("{path}/{index}"), message }));
                }
            }
            Value::Object(fields) => {
                for (name, value) in fields {
                    let part = schema.and_then(|schema| field(schema, name));
                    found |= self.value(value, part, &format!("{path}/{}", escaped(name)));
                }
            }
            _ => {}
        }
        found
    }
}

/// `before` is how many characters of the field come before the expression.
fn check_one(text: &str, before: usize, path: &str, expressions: &dyn Expressions, faults: &mut Vec<Fault>) {
    let checked = if text.is_empty() {
        Err(ExpressionError { message: "the expression is empty".to_owned(), column: 1 })
    } else if text.len() > super::check::MAX_EXPRESSION {
        Err(ExpressionError { message: format!("the expression is longer than {} bytes", super::check::MAX_EXPRESSION), column: 1 })
    } else {
        expressions.check(text)
    };
    if let Err(error) = checked {
        let column = before + error.column as usize;
        faults.push(Fault { path: path.to_owned(), message: format!("{} (column {column})", error.message) });
    }
}

/// Appends the fields of a config as a map: on one line where it is short, else one field a line.
pub(super) fn push(out: &mut String, config: &Map<String, Value>, schema: &Value, indent: usize, width: usize) {
    let (start, reading) = (out.len(), Reading::of(config, schema));
    push_map(out, config, |out, name, value| push_part(out, value, field(schema, name), &reading));
    if out.len() - start <= width || config.len() < 2 {
        return;
    }
    out.truncate(start);
    out.push_str("#{\n");
    for (name, value) in config {
        out.extend(std::iter::repeat_n(' ', indent + 4));
        push_key(out, name);
        out.push_str(": ");
        push_part(out, value, field(schema, name), &reading);
        out.push_str(",\n");
    }
    out.extend(std::iter::repeat_n(' ', indent));
    out.push('}');
}

fn push_part(out: &mut String, value: &Value, schema: Option<&Value>, reading: &Reading<'_>) {
    match value {
        Value::String(text) if is_expression(schema) => out.push_str(unbraced(text)),
        Value::String(text) if text.contains("{{") => push_text(out, text, sink(schema), reading),
        Value::String(text) => push_string(out, text),
        Value::Number(number) => push_number(out, number),
        Value::Array(list) => push_list(out, list, |out, item| push_part(out, item, schema.and_then(items), reading)),
        Value::Object(fields) => {
            push_map(out, fields, |out, name, value| push_part(out, value, schema.and_then(|part| field(part, name)), reading));
        }
        Value::Null | Value::Bool(_) => push_value(out, value),
    }
}

/// A text with braces in it. One that is nothing but an expression keeps the expression's type.
fn push_text(out: &mut String, text: &str, sink: Option<Sink>, reading: &Reading<'_>) {
    let pieces = split(text).unwrap_or_else(|_| vec![Piece::Text(text.to_owned())]);
    match pieces.as_slice() {
        [Piece::Text(plain)] => push_string(out, plain),
        [Piece::Expression(expression, _)] => reading.push(out, sink, expression),
        pieces => {
            out.push_str("text(");
            push_list(out, pieces, |out, piece| match piece {
                Piece::Text(plain) => push_string(out, plain),
                Piece::Expression(expression, _) => reading.push(out, sink, expression),
            });
            out.push(')');
        }
    }
}
