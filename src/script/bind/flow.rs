//! `flow::`, `step` and `text` — the course of a run: its steps, its branches and loops, its answer.

use std::rc::Rc;

use rhai::plugin::*;
use rhai::{Array, Engine, FnPtr, Map};

use crate::error::{Failure, Kind};
use crate::host::protocol::{Answer, Approval, AwaitedCall, WaitFor};
use crate::script::steps::{Each, GraphStep, Out, Run, To, run_of, wait};
use crate::script::values::{Returned, raise, read, to_json};

pub(super) fn module() -> Module {
    rhai::exported_module!(functions)
}

pub(super) fn globals() -> Module {
    rhai::exported_module!(global)
}

/// `nodes`: what each node put out so far, by its id.
#[derive(Clone)]
pub(crate) struct Nodes(pub(crate) Rc<Run>);

/// `run`: facts about the run itself.
#[derive(Clone)]
pub(crate) struct RunInfo(pub(crate) Rc<Run>);

pub(super) fn register_types(engine: &mut Engine) {
    engine
        .register_type_with_name::<Nodes>("Nodes")
        .register_indexer_get(|nodes: &mut Nodes, id: &str| nodes.0.output(id))
        .register_type_with_name::<RunInfo>("Run")
        .register_get("id", |run: &mut RunInfo| run.0.id.clone())
        .register_get("started_at", |run: &mut RunInfo| run.0.started_at.clone())
        .register_get("index", |run: &mut RunInfo| match run.0.index() {
            Some(index) => i64::try_from(index).unwrap_or(i64::MAX).into(),
            None => Dynamic::UNIT,
        })
        .register_type_with_name::<Out>("Edge")
        .register_type_with_name::<To>("Chosen")
        .register_type_with_name::<Each>("Rounds")
        .register_iterator::<Each>();
}

/// What is called without a namespace.
#[export_module]
mod global {
    /// A step of the script's own: runs the function, puts it on record under that id, and gives what it gave.
    ///
    /// ```rhai
    /// let total = step("add up", || 40 + 2);
    /// assert(total == 42);
    /// ```
    #[rhai_fn(name = "step", return_raw)]
    pub fn step_own(context: NativeCallContext, id: ImmutableString, work: FnPtr) -> Returned<Dynamic> {
        run_of(&context)?.own_step(&context, &id, &work, Map::new())
    }

    /// The same, with what is expected of the step once it has done its work: `expect` is a map with one of `text`, `regex`, `image` (a file's path),
    /// `pixel` (`x`, `y`, `colour` as `"#rrggbb"`, `tolerance`), `window` (a part of its title), `file` and `change` (the screen shows something else than
    /// before, or is there and was not), with `within` (seconds, 5), `gone`, `min_score`, and where to look: `zone`, `in_window`, `monitor`, `x`, `y`,
    /// `width`, `height`. Of a text also `match_case`, `occurrence`, `near`, `right_of`, `left_of`, `above`, `below`, `language`, `engine`; of a picture
    /// `occurrence` and `scales`. What says nothing about what is expected raises `VALIDATION_ERROR`, before the step does anything.
    ///
    /// What is not so fails the step with what there is instead (`TIMEOUT`, `details.expectation == "unmet"`); what cannot be seen is a warning in
    /// the log. The step's record has its `expectation`. Needs `screen = true`, or `read = ["…"]` for a file or picture.
    ///
    /// ```rhai
    /// files::write("done.txt", "yes");
    /// let got = step("wait for it", || 42, #{ expect: #{ file: "done.txt", within: 1 } });
    /// assert(got == 42);
    /// let caught = ();
    /// try { step("in vain", || 42, #{ expect: #{ text: "nowhere", within: 0 } }); } catch (error) { caught = error; }
    /// assert(caught.details.expectation == "unmet");
    /// ```
    #[rhai_fn(name = "step", return_raw)]
    pub fn step_expecting(context: NativeCallContext, id: ImmutableString, work: FnPtr, settings: Map) -> Returned<Dynamic> {
        run_of(&context)?.own_step(&context, &id, &work, settings)
    }

    /// A node of a graph that has no edge in and nothing to configure.
    ///
    /// ```rhai
    /// step("start", "manual_trigger");
    /// ```
    #[rhai_fn(name = "step", return_raw)]
    pub fn step_start(context: NativeCallContext, id: ImmutableString, node_type: ImmutableString) -> Returned<Dynamic> {
        super::graph_step(&context, id, node_type, Array::new().into(), Map::new().into(), Map::new())
    }

    /// A node of a graph, and where it comes from: a node's id, or a list of ids and `flow::out(…)`.
    ///
    /// ```rhai
    /// step("start", "manual_trigger");
    /// step("join", "merge", ["start"]);
    /// ```
    #[rhai_fn(name = "step", return_raw)]
    pub fn step_from(context: NativeCallContext, id: ImmutableString, node_type: ImmutableString, from: Dynamic) -> Returned<Dynamic> {
        super::graph_step(&context, id, node_type, from, Map::new().into(), Map::new())
    }

    /// A node of a graph with its config: a map, or a function of the node's input that gives one.
    ///
    /// ```rhai
    /// step("start", "manual_trigger");
    /// step("name", "set_variable", "start", |input| #{ name: "greeting", value: "Hello " + run.id });
    /// assert(nodes.name.greeting.starts_with("Hello "));
    /// ```
    #[rhai_fn(name = "step", return_raw)]
    pub fn step_configured(
        context: NativeCallContext,
        id: ImmutableString,
        node_type: ImmutableString,
        from: Dynamic,
        config: Dynamic,
    ) -> Returned<Dynamic> {
        super::graph_step(&context, id, node_type, from, config, Map::new())
    }

    /// A node of a graph with its config and settings: `retry` (`times`, `wait`, `backoff`), `timeout` (seconds), `on_error`
    /// (`"stop"`, `"continue"`, `"route"`), `disabled`, `expect` (as of a step of the script's own).
    ///
    /// ```rhai
    /// step("start", "manual_trigger");
    /// step("try", "fail", "start", #{ message: "on purpose" }, #{ on_error: "continue" });
    /// assert(nodes["try"].error.message == "on purpose");
    /// ```
    #[rhai_fn(name = "step", return_raw)]
    pub fn step_settled(
        context: NativeCallContext,
        id: ImmutableString,
        node_type: ImmutableString,
        from: Dynamic,
        config: Dynamic,
        settings: Map,
    ) -> Returned<Dynamic> {
        super::graph_step(&context, id, node_type, from, config, settings)
    }

    /// One text from several values: texts as they are, anything else as JSON.
    ///
    /// ```rhai
    /// assert(text(["Total: ", 12, " ", [1, 2]]) == "Total: 12 [1,2]");
    /// ```
    pub fn text(parts: Array) -> String {
        super::joined(&parts)
    }

    /// A value as one word of a command for bash, sh or zsh, whatever is in it: nothing of it is read as source. In single quotes; do not
    /// put it into others.
    ///
    /// ```rhai
    /// assert(quote("it's; rm x") == "'it'\\''s; rm x'");
    /// ```
    pub fn quote(value: Dynamic) -> String {
        super::quoted(&super::joined(&[value]))
    }

    /// The same for `shell`: `"bash"`, `"sh"`, `"zsh"` or `"powershell"`. Raises `VALIDATION_ERROR` for others, which have no such quotes.
    ///
    /// ```rhai
    /// assert(quote("it's", "powershell") == "'it''s'");
    /// ```
    #[rhai_fn(name = "quote", return_raw)]
    pub fn quote_for(context: NativeCallContext, value: Dynamic, shell: &str) -> Returned<String> {
        let text = super::joined(&[value]);
        match shell {
            "bash" | "sh" | "zsh" => Ok(super::quoted(&text)),
            "powershell" => Ok(super::quoted_for_powershell(&text)),
            _ => {
                let message =
                    format!("{shell:?} has no quotes that hold anything: use bash, sh, zsh or powershell, or a list of arguments");
                Err(raise(Failure::new(Kind::ValidationError, message), context.call_position()))
            }
        }
    }

    /// A value as it is. In a field of a node whose text is read as more than data (a command, a URL's host, a key) it says that this is
    /// meant.
    ///
    /// ```rhai
    /// assert(raw("ls") == "ls");
    /// ```
    pub fn raw(value: Dynamic) -> Dynamic {
        value
    }

    /// A value as it is, where no control characters are in it: no line break, tab or escape, that would press keys where it is typed.
    ///
    /// Raises `VALIDATION_ERROR` where there are.
    ///
    /// ```rhai
    /// assert(plain("Ada") == "Ada");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn plain(context: NativeCallContext, value: Dynamic) -> Returned<Dynamic> {
        if !super::joined(std::slice::from_ref(&value)).contains(char::is_control) {
            return Ok(value);
        }
        let message = "there is a control character in what would be typed, such as a line break, which presses Return: take it out, or \
            say that it is meant (allow_control, raw)";
        Err(raise(Failure::new(Kind::ValidationError, message), context.call_position()))
    }

    /// A text without the white space around it. `trim`, the language's own, changes the text itself and gives nothing.
    ///
    /// ```rhai
    /// assert(trimmed("  a b ") == "a b");
    /// ```
    #[rhai_fn(pure)]
    pub fn trimmed(text: &mut ImmutableString) -> ImmutableString {
        text.trim().into()
    }

    /// A text with every `what` in it replaced. `replace`, the language's own, changes the text itself and gives nothing.
    ///
    /// ```rhai
    /// assert("a,b".replaced(",", ";") == "a;b");
    /// ```
    #[rhai_fn(pure)]
    pub fn replaced(text: &mut ImmutableString, what: &str, with: &str) -> ImmutableString {
        text.replace(what, with).into()
    }

    /// Fails the run where a condition does not hold.
    ///
    /// ```rhai
    /// assert(1 + 1 == 2);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn assert(context: NativeCallContext, condition: bool) -> Returned<()> {
        if condition {
            return Ok(());
        }
        Err(raise(Failure::new(Kind::ScriptError, "an assertion does not hold"), context.call_position()))
    }
}

#[export_module]
mod functions {
    /// Which starts a run takes that no particular trigger began.
    ///
    /// ```rhai
    /// flow::start(["start"]);
    /// assert(flow::started("start"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn start(context: NativeCallContext, ids: Array) -> Returned<()> {
        run_of(&context)?.set_starts(ids.into_iter().map(|id| id.to_string()).collect());
        Ok(())
    }

    /// Whether the run began at this trigger.
    ///
    /// ```rhai
    /// assert(!flow::started("some_trigger"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn started(context: NativeCallContext, id: &str) -> Returned<bool> {
        Ok(run_of(&context)?.started(id))
    }

    /// Whether a node ran.
    ///
    /// ```rhai
    /// step("start", "manual_trigger");
    /// assert(flow::ran("start") && !flow::ran("end"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn ran(context: NativeCallContext, id: &str) -> Returned<bool> {
        Ok(run_of(&context)?.ran(id))
    }

    /// Whether a branch ran and chose that output.
    ///
    /// ```rhai
    /// step("start", "manual_trigger");
    /// step("check", "if_condition", "start", #{ condition: 2 > 1 });
    /// assert(flow::took("check", "true"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn took(context: NativeCallContext, id: &str, handle: &str) -> Returned<bool> {
        Ok(run_of(&context)?.took(id, handle))
    }

    /// The edge from one output of a branch, in the list of a node's sources.
    ///
    /// ```rhai
    /// step("start", "manual_trigger");
    /// step("check", "if_condition", "start", #{ condition: true });
    /// step("join", "merge", ["start", flow::out("check", "false")]);
    /// ```
    pub fn out(id: ImmutableString, handle: ImmutableString) -> Out {
        Out { id, handle }
    }

    /// The rounds of a loop node, for `for`.
    ///
    /// ```rhai
    /// step("start", "manual_trigger");
    /// for item in flow::each("numbers", "start", #{ items: [1, 2] }) {
    ///     step("twice", "set_variable", "numbers", |input| #{ name: "twice", value: 2 * input });
    ///     flow::collect("numbers", ["twice"]);
    /// }
    /// assert(nodes.numbers[1].twice == 4);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn each(context: NativeCallContext, id: ImmutableString, from: Dynamic, config: Dynamic) -> Returned<Each> {
        super::looped(&context, id, "for_each", from, config, Map::new())
    }

    /// The rounds of a loop node with settings, for `for`.
    ///
    /// ```rhai
    /// step("start", "manual_trigger");
    /// for item in flow::each("numbers", "start", #{ items: [1] }, #{}) { }
    /// ```
    #[rhai_fn(name = "each", return_raw)]
    pub fn each_settled(context: NativeCallContext, id: ImmutableString, from: Dynamic, config: Dynamic, settings: Map) -> Returned<Each> {
        super::looped(&context, id, "for_each", from, config, settings)
    }

    /// The branches of a `parallel` node, for `for`. They run side by side where they can.
    ///
    /// ```rhai
    /// step("start", "manual_trigger");
    /// for branch in flow::parallel("both", "start", #{ branches: ["a", "b"] }) {
    ///     if flow::took("both", "a") { step("left", "merge", [flow::out("both", "a")]); }
    ///     if flow::took("both", "b") { step("right", "merge", [flow::out("both", "b")]); }
    ///     flow::collect("both", ["left", "right"]);
    /// }
    /// assert(nodes.both.keys().len() == 2);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn parallel(context: NativeCallContext, id: ImmutableString, from: Dynamic, config: Dynamic) -> Returned<Each> {
        super::looped(&context, id, "parallel", from, config, Map::new())
    }

    /// The branches of a `parallel` node with settings, for `for`.
    ///
    /// ```rhai
    /// step("start", "manual_trigger");
    /// for branch in flow::parallel("both", "start", #{ branches: ["a", "b"] }, #{}) { }
    /// ```
    #[rhai_fn(name = "parallel", return_raw)]
    pub fn parallel_settled(
        context: NativeCallContext,
        id: ImmutableString,
        from: Dynamic,
        config: Dynamic,
        settings: Map,
    ) -> Returned<Each> {
        super::looped(&context, id, "parallel", from, config, settings)
    }

    /// What a round of a loop comes to: the output of the named nodes that ran in it.
    ///
    /// ```rhai
    /// step("start", "manual_trigger");
    /// for item in flow::each("one", "start", #{ items: ["a"] }) {
    ///     step("same", "merge", "one");
    ///     flow::collect("one", ["same"]);
    /// }
    /// assert(nodes.one == ["a"]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn collect(context: NativeCallContext, id: &str, sinks: Array) -> Returned<()> {
        let sinks: Vec<ImmutableString> = sinks.into_iter().filter_map(|sink| sink.into_immutable_string().ok()).collect();
        run_of(&context)?.collect(id, &sinks);
        Ok(())
    }

    /// What a branch's `run` gives back: the output it chooses, and what goes out there.
    ///
    /// ```rhai
    /// let chosen = flow::to("true", 42);
    /// ```
    pub fn to(handle: ImmutableString, value: Dynamic) -> To {
        To { handle, value }
    }

    /// Ends the run, or the step, with an error.
    ///
    /// ```rhai
    /// let caught = "";
    /// try { flow::fail("no such order"); } catch (error) { caught = error.message; }
    /// assert(caught == "no such order");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn fail(context: NativeCallContext, message: &str) -> Returned<()> {
        Err(raise(Failure::new(Kind::ScriptError, message), context.call_position()))
    }

    /// Gives the answer of the webhook that started this run: `status` (200), `headers`, `body`. The first one counts.
    ///
    /// ```rhai
    /// flow::respond(#{ status: 201, body: #{ id: 4711 } });
    /// ```
    #[rhai_fn(return_raw)]
    pub fn respond(context: NativeCallContext, answer: Map) -> Returned<Dynamic> {
        super::respond(&context, answer)
    }

    /// Runs a script of the library with these parameters, within this run's permissions, and gives its result.
    ///
    /// Raises `NOT_FOUND` where there is none, and what the script raised. Needs `scripts = ["…"]`.
    ///
    /// ```rhai
    /// assert(flow::run_script("reference/double", #{ number: 21 }) == 42);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn run_script(context: NativeCallContext, path: &str, parameters: Map) -> Returned<Dynamic> {
        let parameters = to_json(&parameters.into()).map_err(|failure| raise(failure, context.call_position()))?;
        wait(&context, WaitFor::Script { path: path.to_owned(), parameters })
    }

    /// Runs a stored workflow with these parameters, within this run's permissions, and gives its result.
    ///
    /// Raises `NOT_FOUND` where there is none, `INVALID_WORKFLOW`, and what the workflow failed with. Needs `workflows = ["…"]`.
    ///
    /// ```rhai
    /// try { flow::run_workflow("no_such_workflow", #{}); } catch (error) { assert(error.code == "NOT_FOUND"); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn run_workflow(context: NativeCallContext, id: &str, parameters: Map) -> Returned<Dynamic> {
        super::run_workflow(&context, id, parameters, true)
    }

    /// Starts a stored workflow and does not wait for it; gives a map with its `run_id`.
    ///
    /// Raises `NOT_FOUND`, `INVALID_WORKFLOW`. Needs `workflows = ["…"]`.
    ///
    /// ```rhai
    /// try { flow::start_workflow("no_such_workflow", #{}); } catch (error) { assert(error.code == "NOT_FOUND"); }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn start_workflow(context: NativeCallContext, id: &str, parameters: Map) -> Returned<Dynamic> {
        super::run_workflow(&context, id, parameters, false)
    }

    /// Asks a person, and waits for as long as it takes: a map of `message`, `choices` (texts), and where wanted `timeout` (seconds)
    /// and `default` (the choice that counts then). Gives `choice`, `comment`, `by` and `at`.
    ///
    /// `GET /api/approvals` lists what is asked, `POST /api/approvals/{id}` answers. Raises `TIMEOUT` where nobody answered in time and
    /// there is no default.
    ///
    /// ```rhai
    /// let answer = flow::ask(#{ message: "Pay it?", choices: ["yes", "no"], timeout: 0.05, "default": "no" });
    /// assert(answer.choice == "no" && answer.by == "timeout");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn ask(context: NativeCallContext, question: Map) -> Returned<Dynamic> {
        let question: Approval = read(question).map_err(|failure| raise(failure, context.call_position()))?;
        wait(&context, WaitFor::Approval(question))
    }

    /// Waits until somebody calls `/api/webhooks/` and this path: a map of `path`, and where wanted `methods` (`["POST"]`), `secret` (of
    /// an HMAC-SHA256 in `X-Signature-256`) and `timeout` (seconds). Gives `method`, `path`, `query`, `headers` and `body`.
    ///
    /// Raises `TIMEOUT` where nobody called in time, `CONFLICT` where another run waits at that path.
    ///
    /// ```rhai
    /// let outcome = "";
    /// try { flow::wait_for_call(#{ path: `paid/${run.id}`, timeout: 0.05 }); } catch (error) { outcome = error.code; }
    /// assert(outcome == "TIMEOUT");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn wait_for_call(context: NativeCallContext, awaited: Map) -> Returned<Dynamic> {
        let awaited: AwaitedCall = read(awaited).map_err(|failure| raise(failure, context.call_position()))?;
        wait(&context, WaitFor::Webhook(awaited))
    }
}

fn run_workflow(context: &NativeCallContext, id: &str, parameters: Map, waits: bool) -> Returned<Dynamic> {
    let parameters = to_json(&parameters.into()).map_err(|failure| raise(failure, context.call_position()))?;
    wait(context, WaitFor::Workflow { workflow_id: id.to_owned(), parameters, wait: waits })
}

fn graph_step(
    context: &NativeCallContext,
    id: ImmutableString,
    node_type: ImmutableString,
    from: Dynamic,
    config: Dynamic,
    settings: Map,
) -> Returned<Dynamic> {
    run_of(context)?.graph_step(context, GraphStep { id, node_type, from, config, settings })
}

fn looped(
    context: &NativeCallContext,
    id: ImmutableString,
    node_type: &str,
    from: Dynamic,
    config: Dynamic,
    settings: Map,
) -> Returned<Each> {
    let node_type = ImmutableString::from(node_type);
    run_of(context)?.each(context, GraphStep { id, node_type, from, config, settings })
}

fn respond(context: &NativeCallContext, mut answer: Map) -> Returned<Dynamic> {
    let refused = |message: &str| raise(Failure::new(Kind::ValidationError, message), context.call_position());
    let status = answer.remove("status").filter(|status| !status.is_unit()).map_or(Ok(200), |status| status.as_int());
    let status = status.ok().and_then(|status| u16::try_from(status).ok()).filter(|status| (100..=599).contains(status));
    let status = status.ok_or_else(|| refused("`status` is a number from 100 to 599"))?;
    let headers = answer.remove("headers").and_then(|headers| headers.try_cast::<Map>()).unwrap_or_default();
    let headers = headers.into_iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let body = answer.remove("body").unwrap_or(Dynamic::UNIT);
    if let Some(name) = answer.keys().next() {
        return Err(refused(&format!("an answer has `status`, `headers` and `body`, not `{name}`")));
    }
    let body = to_json(&body).map_err(|failure| raise(failure, context.call_position()))?;
    run_of(context)?.respond(Answer { status, headers, body });
    Ok(Dynamic::UNIT)
}

/// In single quotes, as Bourne's shells read them.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// In single quotes, as PowerShell reads them: any of its four.
fn quoted_for_powershell(text: &str) -> String {
    let mut quoted = String::from("'");
    for c in text.chars() {
        quoted.push(c);
        if matches!(c, '\'' | '\u{2018}'..='\u{201b}') {
            quoted.push(c);
        }
    }
    quoted.push('\'');
    quoted
}

/// Texts as they are, anything else as JSON.
pub(super) fn joined(parts: &[Dynamic]) -> String {
    let mut joined = String::new();
    for part in parts {
        match part.as_immutable_string_ref() {
            Ok(text) => joined.push_str(&text),
            Err(_) => joined.push_str(&serde_json::to_string(part).unwrap_or_else(|_| part.to_string())),
        }
    }
    joined
}
