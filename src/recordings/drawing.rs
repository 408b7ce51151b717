//! What was done, drawn as a workflow: a node for each step, a `delay` for each pause that matters, a wait for each window that appeared.

use serde_json::{Map, Value, json};

use super::InputBody;
use super::words::{Action, RecordedStep, WindowChange};
use crate::workflow::{Edge, Graph, Node};

/// Shorter pauses are how fast somebody is.
const SHORTEST_PAUSE: f64 = 0.5;
/// Seconds between two keys of a text.
const INTERVAL: f64 = 0.01;
/// Nodes in a column, and how far apart they are.
const COLUMN: usize = 10;
const RIGHT: usize = 320;
const DOWN: usize = 120;
/// Characters of a label.
const LABEL: usize = 40;
/// Seconds that a window which appeared meanwhile is waited for.
const PATIENCE: u32 = 30;
/// Characters of a window's title that are looked for.
const TITLE: usize = 120;

/// The workflow of that recording.
pub(super) fn draw(recording: &str, name: &str, steps: &[RecordedStep], body: &InputBody) -> Graph {
    let mut drawing = Drawing::default();
    let words = json!({ "label": "Start", "config": {} });
    drawing.add("start", "manual_trigger", words);
    let mut over = None;
    for step in steps {
        let pause = over.map_or(0.0, |over: f64| step.at - over).min(body.longest_pause);
        // A window is waited for as long as it takes.
        if pause >= SHORTEST_PAUSE && step.change != Some(WindowChange::Appeared) {
            let seconds = (pause * 10.0).round() / 10.0;
            let words = json!({ "label": format!("Wait {seconds} s"), "config": { "seconds": seconds } });
            drawing.add(&format!("pause-{}", step.number), "delay", words);
        }
        over = Some(step.at + step.duration);
        if let (Some(change), Some(mut config)) = (step.change, window_of(step)) {
            let is_new = change == WindowChange::Appeared;
            let by_mouse = matches!(step.action, Action::Click { .. } | Action::Drag { .. } | Action::Scroll { .. });
            // Keys are to go to it: where it has just appeared, they do not at once.
            let (kind, label) = if is_new && by_mouse { ("wait_for_window", "Wait for") } else { ("focus_window", "Focus") };
            if is_new {
                config["timeout"] = json!(PATIENCE);
            }
            let title = step.window.as_ref().map(|window| window.title.as_str()).unwrap_or_default();
            let words = json!({ "label": short(&format!("{label} {title}")), "config": config });
            drawing.add(&format!("window-{}", step.number), kind, words);
        }
        let (kind, label, config) = node_of(&step.action);
        let mut words = json!({ "label": short(&label), "config": config });
        if let (Some(picture), Some(fields)) = (&step.picture, words.as_object_mut()) {
            let mut seen = json!(picture);
            seen["url"] = json!(format!("/api/recordings/{recording}/images/{}", picture.sha256));
            fields.insert("picture".to_owned(), seen);
        }
        drawing.add(&format!("step-{}", step.number), kind, words);
    }
    let metadata = Map::from_iter([("recording_id".to_owned(), json!(recording))]);
    let Drawing { nodes, edges } = drawing;
    let drawn_settings = body.target.as_ref().map(|target| json!({ "target": target }));
    Graph { name: name.to_owned(), nodes, edges, drawn_settings, metadata, ..Graph::default() }
}

#[derive(Default)]
struct Drawing {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

impl Drawing {
    /// Adds a node below the last one.
    fn add(&mut self, id: &str, kind: &str, data: Value) {
        let place = self.nodes.len();
        let position = json!({ "x": place / COLUMN * RIGHT, "y": place % COLUMN * DOWN });
        if let Some(before) = self.nodes.last() {
            let (source, target) = (before.id.clone(), id.to_owned());
            self.edges.push(Edge { id: format!("{source}-{target}"), source, target, ..Edge::default() });
        }
        let data = data.as_object().cloned().unwrap_or_default();
        self.nodes.push(Node { id: id.to_owned(), node_type: kind.to_owned(), position, data, ..Node::default() });
    }
}

/// Type, label and config of the node that does it again.
fn node_of(action: &Action) -> (&'static str, String, Value) {
    match action {
        Action::Click { x, y, button, clicks, duration, modifiers } => {
            let mut config = json!({ "x": x, "y": y, "button": button, "clicks": clicks });
            if let Some(duration) = duration {
                config["duration"] = json!(duration);
            }
            if !modifiers.is_empty() {
                config["modifiers"] = json!(modifiers);
            }
            let what = match clicks {
                1 => "Click".to_owned(),
                2 => "Double click".to_owned(),
                more => format!("{more} clicks"),
            };
            ("click_action", format!("{what} at {x}, {y}"), config)
        }
        Action::Drag { from_x, from_y, to_x, to_y, button, duration } => {
            let config = json!({ "from_x": from_x, "from_y": from_y, "to_x": to_x, "to_y": to_y, "button": button, "duration": duration });
            ("drag", format!("Drag to {to_x}, {to_y}"), config)
        }
        Action::Scroll { x, y, dx, dy } => ("scroll", "Scroll".to_owned(), json!({ "x": x, "y": y, "dx": dx, "dy": dy })),
        Action::Text { text } => ("type_action", format!("Type {text}"), json!({ "text": plain(text), "interval": INTERVAL })),
        Action::Key { key, presses } => ("key_press", format!("Press {key}"), json!({ "key": key, "presses": presses })),
        Action::Hotkey { keys } => ("key_press", format!("Press {}", keys.join("+")), json!({ "keys": keys })),
        Action::Parameter { name } => {
            let text = format!("{{{{ params.{name} }}}}");
            ("type_action", format!("Type the parameter {name}"), json!({ "text": text, "interval": INTERVAL }))
        }
    }
}

/// A text that is typed as it is, whatever is in it: an expression begins with two braces, unless a backslash stands before them.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        let (before, after) = rest.split_at(at);
        plain.push_str(before);
        // Of backslashes before braces each pair is one.
        plain.extend(std::iter::repeat_n('\\', before.len() - before.trim_end_matches('\\').len() + 1));
        plain.push_str("{{");
        rest = &after[2..];
    }
    plain.push_str(rest);
    plain
}

/// What the window of a step is told by; nothing where it has neither title nor class.
fn window_of(step: &RecordedStep) -> Option<Value> {
    let window = step.window.as_ref()?;
    let mut config = Map::new();
    let title: String = window.title.chars().take(TITLE).collect();
    for (field, value) in [("title", title), ("class", window.class.clone())] {
        if !value.trim().is_empty() {
            config.insert(field.to_owned(), json!(plain(&value)));
        }
    }
    (!config.is_empty()).then_some(Value::Object(config))
}

fn short(label: &str) -> String {
    let line = label.replace(['\n', '\t'], " ");
    if line.chars().count() <= LABEL { line } else { line.chars().take(LABEL - 1).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Button;
    use crate::recordings::words::{Picture, WindowSeen};

    fn step(number: u32, at: f64, action: Action) -> RecordedStep {
        RecordedStep { number, at, duration: 0.1, action, window: None, change: None, picture: None }
    }

    #[test]
    fn steps_follow_each_other_with_their_pauses_and_windows() {
        let click = Action::Click { x: 3, y: 4, button: Button::Left, clicks: 2, duration: None, modifiers: Vec::new() };
        let window = Some(WindowSeen { title: "Order".to_owned(), class: "Zenity".to_owned() });
        let picture = Picture { sha256: "ab".to_owned(), x: 1, y: 2, width: 3, height: 4, target_x: 2, target_y: 2 };
        let steps = [
            RecordedStep { change: Some(WindowChange::Focused), window: window.clone(), picture: Some(picture), ..step(1, 9.0, click) },
            step(2, 9.3, Action::Text { text: "a {{ b".to_owned() }),
            step(3, 20.0, Action::Key { key: "enter".to_owned(), presses: 1 }),
            RecordedStep { change: Some(WindowChange::Appeared), window, ..step(4, 30.0, Action::Parameter { name: "pin".to_owned() }) },
        ];
        let graph = draw("r1", "mine", &steps, &InputBody { longest_pause: 3.0, target: None });
        let nodes: Vec<_> = graph.nodes.iter().map(|node| (node.id.as_str(), node.node_type.as_str())).collect();
        assert_eq!(
            nodes,
            [
                ("start", "manual_trigger"),
                ("window-1", "focus_window"),
                ("step-1", "click_action"),
                ("step-2", "type_action"),
                ("pause-3", "delay"),
                ("step-3", "key_press"),
                ("window-4", "focus_window"),
                ("step-4", "type_action"),
            ]
        );
        let config = |id: &str| graph.nodes.iter().find(|node| node.id == id).map(Node::config).map(Value::Object);
        assert_eq!(config("step-2"), Some(json!({ "text": "a \\{{ b", "interval": 0.01 })));
        assert_eq!(config("pause-3"), Some(json!({ "seconds": 3.0 })));
        assert_eq!(config("window-1"), Some(json!({ "title": "Order", "class": "Zenity" })));
        assert_eq!(config("window-4"), Some(json!({ "title": "Order", "class": "Zenity", "timeout": 30 })));
        assert_eq!(config("step-4"), Some(json!({ "text": "{{ params.pin }}", "interval": 0.01 })));
        assert_eq!(graph.nodes[2].data["picture"]["url"], "/api/recordings/r1/images/ab");
        assert!(graph.edges.windows(2).all(|two| two[0].target == two[1].source) && graph.edges.len() == 7);
    }

    #[test]
    fn what_was_typed_is_no_expression() {
        for (text, kept) in [("{{x}}", "\\{{x}}"), ("\\{{", "\\\\\\{{"), ("a{{b{{c", "a\\{{b\\{{c"), ("{ {", "{ {"), ("{{{", "\\{{{")] {
            assert_eq!(plain(text), kept);
        }
    }
}
