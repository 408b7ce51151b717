//! The expressions of a graph: one pure expression each, over `input`, `params`, `nodes`, `run` and `secrets`.
//!
//! What is accepted here is pasted into a script between brackets and commas, so nothing may pass that could end early, swallow
//! what follows, or do anything but compute: no statements, blocks, closures, comments, back-ticks or calls outside [`FUNCTIONS`].

use rhai::{Engine, Expr, FnCallExpr, OptimizationLevel, ParseErrorType, Position, Stmt, Token};

use crate::workflow::{ExpressionError, Expressions, nearest};

/// The longest expression, in bytes.
const MAX_LENGTH: usize = 4 << 10;
/// How deep an expression may be nested.
const MAX_DEPTH: usize = 32;

/// What an expression may look at.
const VARIABLES: [&str; 5] = ["input", "params", "nodes", "run", SECRETS];

/// What an expression looks at only by a name that is written down: `secrets.TOKEN`, `secrets["TOKEN"]`. So it is known beforehand which
/// secrets a graph uses.
const SECRETS: &str = "secrets";

/// What an expression may call, as a function or as a method. None of them changes anything or reaches outside.
const FUNCTIONS: &[&str] = &[
    "abs",
    "ceiling",
    "chars",
    "contains",
    "ends_with",
    "exp",
    "extract",
    "floor",
    "fraction",
    "get",
    "index_of",
    "int",
    "is_empty",
    "is_even",
    "is_nan",
    "is_odd",
    "is_zero",
    "keys",
    "len",
    "ln",
    "log",
    "max",
    "min",
    "parse_float",
    "parse_int",
    "plain",
    "quote",
    "range",
    "raw",
    "replaced",
    "round",
    "sign",
    "split",
    "sqrt",
    "starts_with",
    "sub_string",
    "text",
    "to_binary",
    "to_chars",
    "to_float",
    "to_hex",
    "to_int",
    "to_lower",
    "to_octal",
    "to_string",
    "to_upper",
    "trimmed",
    "type_of",
    "values",
];

/// What an expression may call by its namespace.
const QUALIFIED: &[&str] = &["json::parse", "json::pretty", "json::text", "time::now", "time::unix"];

/// Checks expressions with the script engine's own parser.
#[derive(Debug, Clone, Copy, Default)]
pub struct RhaiExpressions;

thread_local! {
    static ENGINE: Engine = engine();
}

/// An engine that parses expressions and has nothing to run.
fn engine() -> Engine {
    let mut engine = Engine::new_raw();
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_max_expr_depths(MAX_DEPTH, MAX_DEPTH);
    engine.set_max_string_size(MAX_LENGTH);
    engine.set_allow_anonymous_fn(false);
    engine.set_allow_if_expression(false);
    engine.set_allow_switch_expression(false);
    engine.set_allow_loop_expressions(false);
    engine.set_allow_statement_expression(false);
    engine.set_allow_looping(false);
    engine.set_allow_shadowing(false);
    engine
}

impl Expressions for RhaiExpressions {
    fn secrets(&self, text: &str) -> Vec<String> {
        let mut names = Vec::new();
        if text.contains(SECRETS) && text.len() <= MAX_LENGTH {
            ENGINE.with(|engine| {
                let ast = engine.compile_expression(text).ok();
                if let Some([Stmt::Expr(expression)]) = ast.as_ref().map(rhai::AST::statements) {
                    collect(expression, &mut names);
                }
            });
        }
        names
    }

    fn check(&self, text: &str) -> Result<(), ExpressionError> {
        if text.trim().is_empty() {
            return Err(error(1, "the expression is empty"));
        }
        if text.len() > MAX_LENGTH {
            return Err(error(1, format!("the expression is longer than {MAX_LENGTH} bytes")));
        }
        ENGINE.with(|engine| {
            check_tokens(engine, text)?;
            let ast = engine.compile_expression(text).map_err(|parse| {
                let message = match parse.err_type() {
                    ParseErrorType::UnexpectedEOF => "something is missing at the end".to_owned(),
                    other => other.to_string(),
                };
                error(column(text, parse.position()), format!("the expression does not parse: {}", lower_first(&message)))
            })?;
            match ast.statements() {
                [Stmt::Expr(expression)] => check_expression(text, expression),
                _ => Err(error(1, "this is not a single expression")),
            }
        })
    }
}

/// Refuses by its spelling what could reach beyond the expression.
fn check_tokens(engine: &Engine, text: &str) -> Result<(), ExpressionError> {
    let characters: Vec<char> = text.chars().collect();
    let end_of_line = |c: char| matches!(c, '\n' | '\r');
    if let Some(at) = characters.windows(2).position(|pair| pair[0] == '\\' && end_of_line(pair[1])) {
        return Err(error(at as u32 + 1, "a text cannot go on in the next line: write a line break as \\n"));
    }
    if let Some(at) = characters.iter().position(|c| c.is_control() && !end_of_line(*c) && *c != '\t') {
        return Err(error(at as u32 + 1, "there is a control character in the expression: write it as an escape, such as \\u0007"));
    }
    if let Some(at) = comment(&characters) {
        return Err(error(at as u32 + 1, "a comment cannot stand in an expression"));
    }
    let (mut tokens, _) = engine.lex([&text]);
    tokens.state.include_comments = true;
    let mut open = Vec::new();
    for (token, position) in tokens {
        let column = column(text, position);
        let first = characters.get(column as usize - 1);
        match token {
            Token::EOF => break,
            Token::Comment(_) => return Err(error(column, "a comment cannot stand in an expression")),
            Token::InterpolatedString(_) => return Err(error(column, BACKTICK)),
            Token::StringConstant(_) if first != Some(&'"') => return Err(error(column, BACKTICK)),
            Token::SemiColon => return Err(error(column, "`;` would end the expression: only one expression can stand here")),
            Token::LeftBrace => return Err(error(column, "a block `{` cannot stand in an expression; a map begins with `#{`")),
            Token::LeftParen => open.push(Token::RightParen),
            Token::LeftBracket | Token::QuestionBracket => open.push(Token::RightBracket),
            Token::MapStart => open.push(Token::RightBrace),
            Token::RightParen | Token::RightBracket | Token::RightBrace if open.pop().as_ref() != Some(&token) => {
                return Err(error(column, format!("there is nothing that this `{token}` closes")));
            }
            _ => {}
        }
    }
    match open.pop() {
        Some(missing) => Err(error(characters.len() as u32 + 1, format!("a `{missing}` is missing at the end"))),
        None => Ok(()),
    }
}

/// Where a comment begins outside of quotes. The lexer is not asked: it keeps `//!` to itself.
fn comment(characters: &[char]) -> Option<usize> {
    let mut quote = None;
    let mut at = 0;
    while at < characters.len() {
        match (quote, characters[at], characters.get(at + 1)) {
            (Some(_), '\\', _) => at += 1,
            (Some(open), c, _) if c == open => quote = None,
            (Some(_), ..) => {}
            (None, c @ ('"' | '\''), _) => quote = Some(c),
            (None, '/', Some('/' | '*')) => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

const BACKTICK: &str = "texts are written in double quotes here; a list in text([\"a \", input.b]) joins several parts";

fn check_expression(text: &str, expression: &Expr) -> Result<(), ExpressionError> {
    let at = |position: Position| column(text, position);
    let all = |parts: &[Expr]| parts.iter().try_for_each(|part| check_expression(text, part));
    match expression {
        Expr::BoolConstant(..)
        | Expr::IntegerConstant(..)
        | Expr::FloatConstant(..)
        | Expr::CharConstant(..)
        | Expr::StringConstant(..)
        | Expr::Unit(..)
        | Expr::Property(..) => Ok(()),
        Expr::Array(items, _) => all(items),
        Expr::Map(fields, _) => fields.0.iter().try_for_each(|(_, value)| check_expression(text, value)),
        Expr::Variable(..) if is_secrets(expression) => {
            let message = "a secret is named where it is used: `secrets.NAME` or `secrets[\"NAME\"]`";
            Err(error(at(expression.position()), message))
        }
        Expr::Variable(variable, _, position) => {
            let name = variable.1.as_str();
            if variable.2.is_empty() && VARIABLES.contains(&name) {
                return Ok(());
            }
            let hint = if variable.2.is_empty() { near(name, &VARIABLES) } else { String::new() };
            let shown = if variable.2.is_empty() { name.to_owned() } else { format!("{}::{name}", variable.2) };
            Err(error(
                at(*position),
                format!("there is no variable `{shown}` here{hint}; there are `input`, `params`, `nodes`, `run` and `secrets`"),
            ))
        }
        Expr::FnCall(call, position) | Expr::MethodCall(call, position) => check_call(text, call, at(*position)),
        Expr::Dot(both, ..) | Expr::Index(both, ..) => {
            if secret(expression).is_none() {
                check_expression(text, &both.lhs)?;
            }
            check_expression(text, &both.rhs)
        }
        Expr::And(parts, _) | Expr::Or(parts, _) | Expr::Coalesce(parts, _) => all(parts),
        other => Err(error(at(other.position()), "this cannot stand in an expression: values, operators and pure functions can")),
    }
}

fn is_secrets(expression: &Expr) -> bool {
    matches!(expression, Expr::Variable(variable, ..) if variable.1.as_str() == SECRETS && variable.2.is_empty())
}

/// The secret that an expression begins with.
fn secret(expression: &Expr) -> Option<&str> {
    let (Expr::Dot(both, ..) | Expr::Index(both, ..)) = expression else { return None };
    if !is_secrets(&both.lhs) {
        return None;
    }
    // What is done with the value stands to the right of the name.
    let mut name = &both.rhs;
    while let Expr::Dot(further, ..) | Expr::Index(further, ..) = name {
        name = &further.lhs;
    }
    match (expression, name) {
        (Expr::Dot(..), Expr::Property(property, _)) => Some(property.2.as_str()),
        (Expr::Index(..), Expr::StringConstant(text, _)) => Some(text.as_str()),
        _ => None,
    }
}

/// The names of the secrets in an expression.
fn collect(expression: &Expr, names: &mut Vec<String>) {
    names.extend(secret(expression).map(str::to_owned));
    match expression {
        Expr::Array(items, _) => items.iter().for_each(|item| collect(item, names)),
        Expr::Map(fields, _) => fields.0.iter().for_each(|(_, value)| collect(value, names)),
        Expr::FnCall(call, _) | Expr::MethodCall(call, _) => call.args.iter().for_each(|argument| collect(argument, names)),
        Expr::Dot(both, ..) | Expr::Index(both, ..) => {
            collect(&both.lhs, names);
            collect(&both.rhs, names);
        }
        Expr::And(parts, _) | Expr::Or(parts, _) | Expr::Coalesce(parts, _) => parts.iter().for_each(|part| collect(part, names)),
        _ => {}
    }
}

fn check_call(text: &str, call: &FnCallExpr, column: u32) -> Result<(), ExpressionError> {
    let name = call.name.as_str();
    if call.capture_parent_scope {
        return Err(error(column, format!("`{name}!` cannot be called in an expression")));
    }
    let allowed = if call.is_qualified() {
        QUALIFIED.contains(&format!("{}::{name}", call.namespace).as_str())
    } else {
        call.op_token.is_some() || FUNCTIONS.contains(&name)
    };
    if !allowed {
        let (shown, hint) = if call.is_qualified() {
            let shown = format!("{}::{name}", call.namespace);
            let hint = near(&shown, QUALIFIED);
            (shown, hint)
        } else {
            (name.to_owned(), near(name, FUNCTIONS))
        };
        let message = format!(
            "`{shown}` cannot be called in an expression{hint}; pure functions on texts, numbers, lists, maps, time and JSON can. Use a node for anything else"
        );
        return Err(error(column, message));
    }
    call.args.iter().try_for_each(|argument| check_expression(text, argument))
}

/// ` (did you mean …?)` where a name of `names` is close.
fn near(name: &str, names: &[&str]) -> String {
    nearest(name, names.iter().copied()).map_or_else(String::new, |other| format!(" (did you mean `{other}`?)"))
}

fn lower_first(message: &str) -> String {
    let mut characters = message.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

fn error(column: u32, message: impl Into<String>) -> ExpressionError {
    ExpressionError { message: message.into(), column }
}

/// A position as a column within the whole expression, from 1, whatever its lines.
fn column(text: &str, position: Position) -> u32 {
    let (Some(line), Some(within)) = (position.line(), position.position()) else { return text.chars().count().max(1) as u32 };
    let before: usize = text.split('\n').take(line - 1).map(|line| line.chars().count() + 1).sum();
    (before + within.max(1)) as u32
}
