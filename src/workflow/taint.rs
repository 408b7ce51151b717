//! What `{{ … }}` puts into a field is data: where a field's text is read as more than that, the graph must say so.
//!
//! A node type says of a field by `sink` in its schema what becomes of its text: `shell` (a shell reads it), `argv` (a program and its
//! arguments), `stdin` (that program reads it), `env` (variables by their names), `url` (its host is called), `keys` (it is typed) or
//! `key` (it names a key). Where an expression stands in such a field,
//! `quote(…)` makes one word of a shell of it, `raw(…)` says that it is meant as it is, and what is typed has no control characters.

use serde_json::{Map, Value};

use super::argv::reads_source_from_input;
use super::literal::push_string;
use super::template::Piece;
use crate::policy::danger;

/// What becomes of a field's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sink {
    Shell,
    Argv,
    Stdin,
    Env,
    Url,
    Keys,
    Key,
}

/// What the rest of a config says about its fields' texts.
pub(super) struct Reading<'a> {
    /// The shell that reads a command; none where an expression names it.
    shell: Option<&'a str>,
    /// Whether what is read on standard input is source to what is started.
    runs_input: bool,
    /// What is typed may have control characters.
    control: bool,
}

impl<'a> Reading<'a> {
    pub(super) fn of(config: &'a Map<String, Value>, schema: &'a Value) -> Self {
        let shell = match config.get("shell") {
            Some(Value::String(shell)) => Some(shell.as_str()).filter(|shell| !shell.contains("{{")),
            _ => schema.pointer("/properties/shell/default").and_then(Value::as_str),
        };
        let runs_input = match (config.get("argv"), config.get("command")) {
            (Some(Value::Array(argv)), _) => reads_source_from_input(argv),
            (_, Some(Value::String(line))) => danger::reads_source(line),
            _ => false,
        };
        Self { shell, runs_input, control: config.get("allow_control") == Some(&Value::Bool(true)) }
    }

    /// What is wrong with the expression `pieces[at]` in a field of that sink.
    pub(super) fn fault(&self, sink: Sink, pieces: &[Piece<'_>], at: usize) -> Option<String> {
        let Some(Piece::Expression(expression, _)) = pieces.get(at) else { return None };
        if call(expression, "raw").is_some() {
            return None;
        }
        match sink {
            Sink::Shell if call(expression, "quote").is_none() => Some(
                "what `{{ … }}` puts in here would be read as source by the shell: hand it over in `argv` or `env`, write \
                `{{ quote(…) }}` for one word of the command, or `{{ raw(…) }}` where it is meant as source"
                    .to_owned(),
            ),
            Sink::Shell => self.misplaced(pieces, at),
            Sink::Key => Some("data would choose the key that is pressed: write `{{ raw(…) }}` where that is meant".to_owned()),
            Sink::Argv => Some(
                "data would choose the program that is started and all that it is told: write the program and each argument as an item of a \
                 list, or `{{ raw(…) }}` where that is meant"
                    .to_owned(),
            ),
            Sink::Env => Some(
                "data would name the variables, some of which make programs start others: write their names down, or `{{ raw(…) }}` where \
                 that is meant"
                    .to_owned(),
            ),
            Sink::Stdin if self.runs_input => Some(
                "what is started reads its source there, so that data would be source: start a fixed script that reads it, or write \
                 `{{ raw(…) }}` where it is meant as source"
                    .to_owned(),
            ),
            // Its host is a matter of permissions; what is typed is looked at when it is known.
            Sink::Stdin | Sink::Url | Sink::Keys => None,
        }
    }

    /// Why `quote(…)` cannot stand there.
    fn misplaced(&self, pieces: &[Piece<'_>], at: usize) -> Option<String> {
        let instead = "hand it over in `argv`, or in `env` and write \"$NAME\"";
        match self.shell {
            Some("bash" | "sh") => {}
            Some("powershell") => return None,
            _ => return Some(format!("`quote(…)` can be used for bash, sh and powershell: {instead}")),
        }
        let texts = pieces.iter().filter_map(|piece| if let Piece::Text(text) = piece { Some(text.as_str()) } else { None });
        let odd = ["<<", "((", "[[", "$["].into_iter().find(|odd| texts.clone().any(|text| text.contains(odd)));
        if let Some(odd) = odd {
            return Some(format!("`quote(…)` is no word everywhere in a command with `{odd}`: {instead}"));
        }
        let before = pieces.iter().take(at);
        let place = before.fold(Place::Plain, |place, piece| if let Piece::Text(text) = piece { place.after(text) } else { place.word() });
        match place {
            Place::Plain | Place::Word => None,
            Place::Single | Place::Double => Some("`quote(…)` brings its own quotes: take those around it away".to_owned()),
            Place::Escaped | Place::Comment | Place::Backtick => Some(format!("`quote(…)` is no word of its own here: {instead}")),
        }
    }

    /// Appends an expression of a field of that sink.
    pub(super) fn push(&self, out: &mut String, sink: Option<Sink>, expression: &str) {
        match (sink, call(expression, "quote")) {
            (Some(Sink::Shell), Some(inner)) if self.shell == Some("powershell") => {
                out.push_str("quote(");
                out.push_str(inner);
                out.push_str(", ");
                push_string(out, "powershell");
                out.push(')');
            }
            (Some(Sink::Keys), _) if !self.control && call(expression, "raw").is_none() => {
                out.push_str("plain(");
                out.push_str(expression);
                out.push(')');
            }
            _ => out.push_str(expression),
        }
    }
}

/// The sink that a schema names.
pub(super) fn sink(schema: Option<&Value>) -> Option<Sink> {
    match schema?.get("sink")?.as_str()? {
        "shell" => Some(Sink::Shell),
        "argv" => Some(Sink::Argv),
        "stdin" => Some(Sink::Stdin),
        "env" => Some(Sink::Env),
        "url" => Some(Sink::Url),
        "keys" => Some(Sink::Keys),
        "key" => Some(Sink::Key),
        _ => None,
    }
}

/// What stands between the brackets where an expression is nothing but a call of `function` with one argument.
pub(super) fn call<'e>(expression: &'e str, function: &str) -> Option<&'e str> {
    let inner = expression.trim().strip_prefix(function)?.trim_start().strip_prefix('(')?.strip_suffix(')')?;
    let (mut depth, mut quote, mut letters) = (0_usize, None, inner.chars());
    while let Some(c) = letters.next() {
        match (quote, c) {
            (Some(_), '\\') => drop(letters.next()),
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.checked_sub(1)?,
            // A second argument.
            (None, ',') if depth == 0 => return None,
            _ => {}
        }
    }
    (depth == 0 && quote.is_none()).then_some(inner)
}

/// Where in a line of a shell a text ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A word may begin.
    Plain,
    /// In a word.
    Word,
    Single,
    Double,
    Escaped,
    Comment,
    Backtick,
}

impl Place {
    /// Where something was put in that is no text.
    fn word(self) -> Self {
        if self == Self::Plain { Self::Word } else { self }
    }

    fn after(self, text: &str) -> Self {
        let (mut place, mut letters) = (self, text.chars());
        while let Some(c) = letters.next() {
            place = match (place, c) {
                (Self::Single, '\'') | (Self::Double, '"') => Self::Word,
                (Self::Single | Self::Backtick, _) => place,
                (Self::Comment, '\n') => Self::Plain,
                (Self::Comment, _) => Self::Comment,
                (_, '`') => Self::Backtick,
                (Self::Double, '\\') => {
                    letters.next();
                    Self::Double
                }
                (Self::Double, _) => Self::Double,
                (Self::Escaped, _) => Self::Word,
                (_, '\\') => Self::Escaped,
                (_, '\'') => Self::Single,
                (_, '"') => Self::Double,
                (Self::Plain, '#') => Self::Comment,
                (_, ' ' | '\t' | '\n' | ';' | '&' | '|' | '(' | ')' | '<' | '>') => Self::Plain,
                (..) => Self::Word,
            };
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::template::split;

    #[test]
    fn a_call_is_the_whole_expression() {
        for (expression, inner) in [
            ("raw(a)", Some("a")),
            (" raw ( a.b[0] ) ", Some(" a.b[0] ")),
            ("raw(f(a, b))", Some("f(a, b)")),
            ("raw(\")\")", Some("\")\"")),
            ("raw(a) + raw(b)", None),
            ("raw(a, b)", None),
            ("rawer(a)", None),
            ("raw", None),
            ("a", None),
        ] {
            assert_eq!(call(expression, "raw"), inner, "{expression}");
        }
    }

    #[test]
    fn a_quoted_word_stands_where_a_word_does() {
        let faulty = |shell: &str, text: &str| {
            let pieces = split(text).unwrap();
            let reading = Reading { shell: Some(shell), runs_input: false, control: false };
            (0..pieces.len()).any(|at| reading.fault(Sink::Shell, &pieces, at).is_some())
        };
        for good in [
            "echo {{ quote(a) }}",
            "a=b{{ quote(a) }}; x",
            "echo 'x' {{ quote(a) }} \"y\"",
            "{{ raw(a) }}",
            "echo \"{{ raw(a) }}\"",
            "echo {{ quote(a) }}{{ quote(b) }}",
            "x # y\n{{ quote(a) }}",
        ] {
            assert!(!faulty("bash", good), "{good}");
        }
        for bad in [
            "echo {{ a }}",
            "echo '{{ quote(a) }}'",
            "echo \"{{ quote(a) }}\"",
            "echo \\\\{{ quote(a) }}",
            "echo # {{ quote(a) }}",
            "echo `echo {{ quote(a) }}`",
            "cat <<X\n{{ quote(a) }}\nX",
            "echo $(({{ quote(a) }}))",
            "{{ quote(a) + b }}",
            "echo $'{{ quote(a) }}'",
        ] {
            assert!(faulty("bash", bad), "{bad}");
        }
        assert!(!faulty("powershell", "echo {{ quote(a) }}") && faulty("cmd", "echo {{ quote(a) }}"));
    }
}
