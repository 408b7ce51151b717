//! What triggers listen for: the fields of trigger nodes, of the triggers in scripts' headers, and of those that are made over the API.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::dedupe::DedupeKey;
use super::schema::nearest;
use crate::schedule::{Schedule, Zone};

/// What a trigger listens for.
#[derive(Debug, Clone, PartialEq)]
pub enum Listens {
    /// A call from elsewhere.
    Webhook(WebhookStart),
    /// Files that are dropped into a folder.
    Folder(FolderStart),
    /// The time.
    Schedule(ScheduleStart),
    /// The start of the server.
    Startup,
    /// What a screen shows.
    Screen(Box<ScreenStart>),
}

/// A webhook.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookStart {
    /// The parts of its path.
    pub path: Vec<Segment>,
    /// The methods it answers to, in capitals.
    pub methods: Vec<String>,
    /// When the caller gets its answer.
    pub respond: Respond,
    /// The key of the signature that callers send.
    pub secret: Option<String>,
    /// What tells a repeated call.
    pub dedupe_key: Option<DedupeKey>,
}

/// A part of a webhook's path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Segment {
    /// This text.
    Text(String),
    /// Any text, which is a parameter of that name.
    Parameter(String),
}

/// When the caller of a webhook gets its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Respond {
    /// Once the runs are on record.
    #[default]
    Immediately,
    /// Once the first run ended.
    OnFinish,
    /// Once a node of the first run gives the answer.
    ResponseNode,
}

/// A watched folder.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderStart {
    /// The folder; relative ones lie in the data folder's `files/`.
    pub path: String,
    /// Which files: a glob for their names, or for their paths in the folder where there is a slash in it.
    #[serde(default = "any_name")]
    pub pattern: String,
    /// Whether folders in it count, too.
    #[serde(default)]
    pub recursive: bool,
    /// What happens to the file once its run is over.
    #[serde(default)]
    pub after: After,
    /// How long a file must have been still.
    #[serde(default = "one_second")]
    pub stable_seconds: f64,
}

/// What happens to a file once its run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum After {
    /// It stays.
    #[default]
    Keep,
    /// It goes to `done/` or `failed/` beside it.
    Move,
    /// It is removed where the run succeeded.
    Delete,
}

/// What a screen shows: a text, a regular expression, a picture, or anything in a part of it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScreenStart {
    /// A text.
    pub text: Option<String>,
    /// A regular expression that a part of a line fits.
    pub regex: Option<String>,
    /// A picture: a file's path; relative ones lie in the data folder's `files/`.
    pub image: Option<String>,
    /// What starts a run.
    #[serde(default)]
    pub event: Becomes,
    /// Seconds between two looks.
    #[serde(default = "one_second")]
    pub every: f64,
    /// How long it must have been so.
    #[serde(default)]
    pub stable_seconds: f64,
    /// Seconds between two runs at least.
    #[serde(default = "one_second")]
    pub pace: f64,
    /// How much a text or picture must be like it, 0–1.
    pub min_score: Option<f64>,
    /// Language of the text.
    pub language: Option<String>,
    /// Whether capital and small letters of the text differ.
    #[serde(default)]
    pub match_case: bool,
    /// Only these characters are read.
    pub whitelist: Option<String>,
    /// Which of several texts or pictures, from 1.
    pub occurrence: Option<u32>,
    /// The text stands near this one.
    pub near: Option<String>,
    /// It stands on the same height, to the right of this one.
    pub right_of: Option<String>,
    /// It stands on the same height, to the left of this one.
    pub left_of: Option<String>,
    /// It stands in the same column, above this one.
    pub above: Option<String>,
    /// It stands in the same column, below this one.
    pub below: Option<String>,
    /// The sizes in which the picture is looked for, as parts of its own.
    #[serde(default)]
    pub scales: Vec<f64>,
    /// The zone of this name is watched.
    pub zone: Option<String>,
    /// The window with this in its title is watched.
    pub window: Option<String>,
    /// This monitor is watched.
    pub monitor: Option<usize>,
    /// Left edge of the part that is watched; with `y`, `width` and `height`.
    pub x: Option<i32>,
    /// Top edge of it.
    pub y: Option<i32>,
    /// Width of it.
    pub width: Option<u32>,
    /// Height of it.
    pub height: Option<u32>,
    /// The desktop; without it the default one.
    pub target: Option<String>,
}

/// What becomes of what a screen shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Becomes {
    /// It is there, and was not.
    #[default]
    Appears,
    /// It was there, and is not.
    Disappears,
    /// It is another one, or elsewhere.
    #[serde(rename = "changes")]
    Changed,
}

/// A schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleStart {
    /// When it is due.
    pub schedule: Schedule,
    /// The fields that say so: with others it is another schedule.
    pub spec: String,
    /// What happens while its last run still goes on.
    pub overlap: Overlap,
    /// What happens with what came due while the server was off.
    pub catch_up: CatchUp,
}

/// What happens when a schedule is due while its last run still goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// Nothing.
    #[default]
    Skip,
    /// The next run begins when that one is over.
    Queue,
    /// It runs beside it.
    Allow,
}

/// What happens with what came due while the server was off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// Nothing.
    None,
    /// One run, for the last of it.
    #[default]
    Latest,
    /// A run for each, the newest hundred at most.
    All,
}

/// Something wrong with a trigger's fields: a JSON Pointer into them and a sentence.
pub type TriggerFault = (String, String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookFields {
    path: String,
    #[serde(default = "post")]
    methods: Vec<String>,
    #[serde(default)]
    respond: Respond,
    secret: Option<String>,
    dedupe_key: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScheduleFields {
    cron: Option<String>,
    every: Option<String>,
    timezone: Option<String>,
    #[serde(default)]
    overlap: Overlap,
    #[serde(default)]
    catch_up: CatchUp,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StartupFields {}

fn any_name() -> String {
    "*".to_owned()
}

fn one_second() -> f64 {
    1.0
}

fn post() -> Vec<String> {
    vec!["POST".to_owned()]
}

const KINDS: [&str; 5] = ["schedule", "screen", "startup", "watch_folder", "webhook"];
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

impl Listens {
    /// The trigger of that type (`webhook`, `watch_folder`, `schedule`, `screen`, `startup`) with those fields.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn read(kind: &str, config: &Value) -> Result<Self, Vec<TriggerFault>> {
        match kind {
            "webhook" => webhook(fields(config)?).map(Self::Webhook),
            "watch_folder" => folder(fields(config)?).map(Self::Folder),
            "schedule" => schedule_start(config, fields(config)?).map(Self::Schedule),
            "screen" => screen(fields(config)?).map(|start| Self::Screen(Box::new(start))),
            "startup" => fields(config).map(|StartupFields {}| Self::Startup),
            other => {
                let hint = nearest(other, KINDS)
                    .map_or_else(|| format!("there are {}", KINDS.join(", ")), |near| format!("did you mean {near:?}?"));
                Err(vec![("/type".to_owned(), format!("there is no trigger of the type {other:?}; {hint}"))])
            }
        }
    }

    /// The trigger that nodes of that type are; none for those that start nothing by themselves.
    pub fn kind_of_node(node_type: &str) -> Option<&str> {
        node_type.strip_suffix("_trigger").filter(|kind| KINDS.contains(kind))
    }

    /// Its type: `webhook`, …
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Folder(_) => "watch_folder",
            Self::Schedule(_) => "schedule",
            Self::Startup => "startup",
            Self::Screen(_) => "screen",
        }
    }
}

/// What is wrong with a trigger node's config that its schema cannot say.
pub(super) fn faults_of_node(node_type: &str, config: &Value) -> Vec<TriggerFault> {
    let read = Listens::kind_of_node(node_type).map(|kind| Listens::read(kind, config));
    read.and_then(Result::err).unwrap_or_default()
}

fn fields<T: DeserializeOwned>(config: &Value) -> Result<T, Vec<TriggerFault>> {
    if let Some((field, _)) = config.as_object().into_iter().flatten().find(|(name, value)| *name != "dedupe_key" && has_braces(value)) {
        let message = "a trigger is looked at before there is a run: there cannot be an {{ expression }} in this field".to_owned();
        return Err(vec![(format!("/{field}"), message)]);
    }
    serde_json::from_value(config.clone()).map_err(|error| {
        let message = error.to_string();
        // Serde names the field, though not where it is.
        let named = message.split('`').nth(1).filter(|_| message.starts_with("missing field") || message.starts_with("unknown field"));
        let path = named.map(|field| format!("/{field}")).unwrap_or_default();
        vec![(path, message)]
    })
}

fn has_braces(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("{{"),
        Value::Array(items) => items.iter().any(has_braces),
        _ => false,
    }
}

fn webhook(fields: WebhookFields) -> Result<WebhookStart, Vec<TriggerFault>> {
    let mut wrong = Vec::new();
    let path = segments(&fields.path).unwrap_or_else(|message| {
        wrong.push(("/path".to_owned(), message));
        Vec::new()
    });
    let methods: Vec<String> = fields.methods.iter().map(|method| method.to_ascii_uppercase()).collect();
    if let Some((index, unknown)) = methods.iter().enumerate().find(|(_, method)| !METHODS.contains(&method.as_str())) {
        wrong.push((format!("/methods/{index}"), format!("{unknown:?} is none of {}", METHODS.join(", "))));
    }
    if methods.is_empty() {
        wrong.push(("/methods".to_owned(), "name at least one method, such as \"POST\"".to_owned()));
    }
    let dedupe_key = fields.dedupe_key.as_deref().map(DedupeKey::parse).transpose().unwrap_or_else(|message| {
        wrong.push(("/dedupe_key".to_owned(), message));
        None
    });
    let secret = fields.secret.filter(|secret| !secret.is_empty());
    if wrong.is_empty() { Ok(WebhookStart { path, methods, respond: fields.respond, secret, dedupe_key }) } else { Err(wrong) }
}

/// The parts of a webhook's path: `orders/{id}`.
fn segments(path: &str) -> Result<Vec<Segment>, String> {
    let mut names: Vec<&str> = Vec::new();
    let trimmed = path.trim_matches('/');
    if trimmed.is_empty() || trimmed.len() > 512 {
        return Err("a webhook's path has 1 to 512 characters, such as \"orders/{id}\"".to_owned());
    }
    let mut segments = Vec::new();
    for part in trimmed.split('/') {
        let parameter = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
        segments.push(match parameter {
            Some(name) => {
                let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                if !is_name || names.contains(&name) {
                    return Err(format!(
                        "{part:?} is no parameter: give each one a name of its own of letters, digits and underscores, such as \"{{id}}\""
                    ));
                }
                names.push(name);
                Segment::Parameter(name.to_owned())
            }
            None if part.is_empty() => return Err(format!("there is an empty part in {path:?}: leave out the second slash")),
            None if part.contains(['{', '}', '?', '#']) => {
                return Err(format!("{part:?} cannot stand in a webhook's path: a parameter is a whole part, such as \"orders/{{id}}\""));
            }
            None => Segment::Text(part.to_owned()),
        });
    }
    Ok(segments)
}

fn folder(fields: FolderStart) -> Result<FolderStart, Vec<TriggerFault>> {
    let mut wrong = Vec::new();
    if fields.path.trim().is_empty() || fields.path.contains('\0') || fields.path.split('/').any(|part| part == "..") {
        wrong.push(("/path".to_owned(), "name a folder, without `..`".to_owned()));
    }
    if let Err(error) = globset::GlobBuilder::new(&fields.pattern).literal_separator(true).build() {
        wrong.push((
            "/pattern".to_owned(),
            format!("{:?} is no pattern for names ({}): write one like \"*.pdf\"", fields.pattern, error.kind()),
        ));
    }
    if !(0.0..=3600.0).contains(&fields.stable_seconds) {
        wrong.push(("/stable_seconds".to_owned(), "a file can be waited for from 0 to 3600 seconds".to_owned()));
    }
    if wrong.is_empty() { Ok(fields) } else { Err(wrong) }
}

fn screen(fields: ScreenStart) -> Result<ScreenStart, Vec<TriggerFault>> {
    let mut wrong = Vec::new();
    let mut say = |path: &str, message: &str| wrong.push((path.to_owned(), message.to_owned()));
    let named = [&fields.text, &fields.regex, &fields.image].into_iter().flatten().count();
    if named > 1 {
        say("/text", "say what is watched for by one of text, regex and image");
    }
    if named == 0 && fields.event != Becomes::Changed {
        say("/text", "say what is to appear: text, regex or image; only what changes needs none of them");
    }
    if [&fields.text, &fields.regex, &fields.image].into_iter().flatten().any(|text| text.trim().is_empty()) {
        say("/text", "it is empty");
    }
    for (path, seconds, least) in
        [("/every", fields.every, 0.2), ("/stable_seconds", fields.stable_seconds, 0.0), ("/pace", fields.pace, 0.0)]
    {
        if !(least..=86_400.0).contains(&seconds) {
            say(path, &format!("give {least} to 86400 seconds"));
        }
    }
    if fields.min_score.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
        say("/min_score", "give a number from 0 to 1");
    }
    if fields.occurrence == Some(0) {
        say("/occurrence", "the first one is 1");
    }
    if fields.scales.len() > 16 || fields.scales.iter().any(|scale| !(0.1..=10.0).contains(scale)) {
        say("/scales", "give at most 16 sizes, each from 0.1 to 10 times its own");
    }
    let text = fields.text.is_some() || fields.regex.is_some();
    for (path, given, goes, with) in [
        ("/language", fields.language.is_some(), text, "text or regex"),
        ("/match_case", fields.match_case, fields.text.is_some(), "text"),
        ("/whitelist", fields.whitelist.is_some(), text, "text or regex"),
        ("/near", fields.near.is_some(), text, "text or regex"),
        ("/right_of", fields.right_of.is_some(), text, "text or regex"),
        ("/left_of", fields.left_of.is_some(), text, "text or regex"),
        ("/above", fields.above.is_some(), text, "text or regex"),
        ("/below", fields.below.is_some(), text, "text or regex"),
        ("/scales", !fields.scales.is_empty(), fields.image.is_some(), "image"),
        ("/occurrence", fields.occurrence.is_some(), named > 0, "text, regex or image"),
    ] {
        if given && !goes {
            say(path, &format!("it says something only beside {with}: leave it out"));
        }
    }
    let part = [fields.x.is_some(), fields.y.is_some(), fields.width.is_some(), fields.height.is_some()];
    if part.contains(&true) && part.contains(&false) {
        say("/x", "a part of the screen needs x, y, width and height together");
    }
    if [fields.zone.is_some(), fields.window.is_some(), fields.monitor.is_some()].into_iter().filter(|given| *given).count() > 1 {
        say("/zone", "watch a zone, a window or a monitor, one of them");
    }
    if wrong.is_empty() { Ok(fields) } else { Err(wrong) }
}

fn schedule_start(config: &Value, fields: ScheduleFields) -> Result<ScheduleStart, Vec<TriggerFault>> {
    let at = |path: &'static str| move |message: String| (path.to_owned(), message);
    let mut wrong = Vec::new();
    let zone = fields.timezone.as_deref().map(Zone::named).transpose().unwrap_or_else(|message| {
        wrong.push(at("/timezone")(message));
        None
    });
    let schedule = match (&fields.cron, &fields.every) {
        (Some(cron), None) => Schedule::cron(cron, zone.unwrap_or_default()).map_err(at("/cron")),
        (None, Some(every)) => Schedule::every(every).map_err(at("/every")),
        (Some(_), Some(_)) => Err(at("/every")("a schedule has either `cron` or `every`, not both".to_owned())),
        (None, None) => Err(at("/cron")("a schedule needs `cron`, such as \"0 7 * * *\", or `every`, such as \"5m\"".to_owned())),
    };
    match schedule {
        Ok(schedule) if wrong.is_empty() => {
            let spec = serde_json::json!([config.get("cron"), config.get("every"), config.get("timezone")]).to_string();
            Ok(ScheduleStart { schedule, spec, overlap: fields.overlap, catch_up: fields.catch_up })
        }
        Ok(_) => Err(wrong),
        Err(fault) => {
            wrong.push(fault);
            Err(wrong)
        }
    }
}
