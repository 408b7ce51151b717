//! Bash and its like: parsed into commands and words, and each command held against the rules.

use super::parse::{Parsed, Simple, TooDeep, parse};
use super::starters::started;
use super::words::{is_disk, is_interpreter, is_root, is_system_file, program};
use super::{Refusal, nested, read};

/// Shells that read bash, or nearly.
pub(super) const SHELLS: &[&str] = &["bash", "sh", "dash", "zsh", "ksh", "ash", "fish"];

/// For lines that were put together of words: what they come to when they run may differ, so that they are read as far as they go.
const LOOSELY: &str = "zsh";

/// A line of bash, or of a shell whose language is near it. `strict` refuses what its grammar does not know.
pub(super) fn check(line: &str, depth: usize, strict: bool) -> Result<(), Refusal> {
    let Parsed { commands, functions, whole } = parse(line).map_err(|TooDeep| Refusal::of("hidden_command"))?;
    if functions.iter().any(|(name, body)| is_fork_bomb(name, body)) {
        return Err(Refusal::of("fork_bomb"));
    }
    all(&commands, depth)?;
    // Last, so that what is plainly destructive in it is what is said of it.
    if strict && !whole { Err(Refusal::of("not_parsed")) } else { Ok(()) }
}

/// Commands, one after the other.
fn all(commands: &[Simple], depth: usize) -> Result<(), Refusal> {
    let (mut from_web, mut decoded, mut said) = (false, false, None);
    for simple in commands {
        simple.inner.iter().try_for_each(|inner| all(inner, depth))?;
        for target in simple.targets.iter().filter(|target| !target.reads) {
            // What is added to a file of the system does not destroy it; a disk has no end to add to.
            if !target.appends || is_disk(&target.word.text) || target.word.text == "/proc/sysrq-trigger" {
                written(&target.word.text)?;
            }
        }
        let texts = simple.texts();
        let words = plain(&texts);
        let name = words.first().map(|word| program(word)).unwrap_or_default();
        let runs_text = is_interpreter(&name) || matches!(name.as_str(), "eval" | "source" | ".");
        let is_shell = SHELLS.contains(&name.as_str()) || matches!(name.as_str(), "eval" | "source" | ".");
        if runs_text && ((simple.piped && from_web && reads_input(words)) || simple.inner.iter().any(|inner| fetches(inner))) {
            return Err(Refusal::of("pipe_from_web"));
        }
        if runs_text
            && ((simple.piped && decoded && reads_input(words)) || (is_shell && simple.inner.iter().any(|inner| inner.iter().any(decodes))))
        {
            return Err(Refusal::of("hidden_command"));
        }
        if SHELLS.contains(&name.as_str()) && reads_input(words) {
            let piped = said.filter(|_| simple.piped);
            simple.stdin.clone().or(piped).map_or(Ok(()), |script| read(LOOSELY, &script, depth))?;
        }
        let fetching = matches!(name.as_str(), "curl" | "wget" | "fetch");
        from_web = fetching || (simple.piped && from_web);
        decoded = decodes(simple) || (simple.piped && decoded);
        said = matches!(name.as_str(), "echo" | "printf").then(|| words[1..].join(" ")).or_else(|| simple.stdin.clone());
        argv(&texts, depth)?;
    }
    Ok(())
}

/// Whether one of its commands takes what it reads for source.
pub(super) fn reads_source(line: &str) -> bool {
    fn any(commands: &[Simple]) -> bool {
        commands.iter().any(|simple| {
            let texts = simple.texts();
            let words = plain(&texts);
            let name = words.first().map(|word| program(word)).unwrap_or_default();
            (is_interpreter(&name) && reads_input(words)) || name == "source" || name == "." || simple.inner.iter().any(|inner| any(inner))
        })
    }
    parse(line).map_or(true, |parsed| any(&parsed.commands))
}

/// A program and its arguments.
pub(super) fn argv(argv: &[String], depth: usize) -> Result<(), Refusal> {
    split_by_env(argv).map_or(Ok(()), |line| read(LOOSELY, &line, depth))?;
    command(plain(argv), depth)
}

/// What stands before the program itself: assignments, keywords, programs that start another one.
pub(super) fn plain(words: &[String]) -> &[String] {
    let mut words = words;
    while let Some(word) = words.first() {
        let assignment = word
            .split_once('=')
            .is_some_and(|(name, _)| !name.is_empty() && name.trim_end_matches('+').chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
        let keyword = ["!", "do", "then", "else", "elif", "if", "while", "until", "{", "coproc", "not", "and", "or", "begin"];
        words = if assignment || keyword.contains(&word.as_str()) {
            &words[1..]
        } else if let Some(started) = started(words) {
            &words[started.at..]
        } else {
            break;
        };
    }
    words
}

/// What `env -S` is given to split into words.
fn split_by_env(words: &[String]) -> Option<String> {
    let at = words.iter().position(|word| program(word) == "env")?;
    let options = words[at + 1..].iter().take_while(|word| word.starts_with('-') || word.contains('='));
    for (option, behind) in options.zip(at + 2..) {
        let hanging = option.strip_prefix("--split-string=").or_else(|| option.strip_prefix("-S"));
        if let Some(text) = hanging {
            return Some(
                [text].into_iter().chain(words.get(behind..).unwrap_or_default().iter().map(String::as_str)).collect::<Vec<_>>().join(" "),
            );
        }
    }
    None
}

/// Holds one command against the rules.
fn command(words: &[String], depth: usize) -> Result<(), Refusal> {
    let Some((first, arguments)) = words.split_first() else { return Ok(()) };
    let name = program(first);
    let refuse = |rule| Err(Refusal::of(rule));
    let given = |test: &dyn Fn(&str) -> bool| arguments.iter().any(|word| !word.starts_with('-') && test(word));
    let flag = |short: &[char], long: &str| {
        arguments.iter().any(|word| {
            if let Some(name) = word.strip_prefix("--") {
                !name.is_empty() && long.starts_with(name)
            } else {
                word.strip_prefix('-').is_some_and(|letters| letters.contains(short))
            }
        })
    };
    match name.as_str() {
        "rm" if flag(&['r', 'R'], "recursive") && given(&is_root) => return refuse("delete_root"),
        "rm" if arguments.iter().any(|word| word == "--no-preserve-root") => return refuse("delete_root"),
        "find" if given(&is_root) && deletes(arguments) => return refuse("delete_root"),
        "mv" if given(&is_root) && arguments.last().is_some_and(|to| !is_root(to)) => return refuse("delete_root"),
        "rsync" if arguments.iter().any(|word| word.starts_with("--del")) && arguments.last().is_some_and(|to| is_root(to)) => {
            return refuse("delete_root");
        }
        "wipefs" | "blkdiscard" | "mkswap" | "mke2fs" | "mkdosfs" | "fdformat" => return refuse("format_disk"),
        name if name.starts_with("mkfs") => return refuse("format_disk"),
        "fdisk" | "sfdisk" | "cfdisk" | "gdisk" | "sgdisk" | "parted" if given(&is_disk) && !flag(&['l', 'd', 'p'], "list") => {
            return refuse("format_disk");
        }
        "dd" => arguments.iter().filter_map(|word| word.strip_prefix("of=")).try_for_each(written)?,
        "shred" | "tee" | "truncate" | "badblocks" | "hdparm" if given(&is_disk) => return refuse("write_device"),
        "tee" => arguments.iter().filter(|_| !flag(&['a'], "append")).try_for_each(written)?,
        "cp" | "mv" | "install" | "ln" => arguments.last().map_or(Ok(()), written)?,
        "shutdown" | "reboot" | "halt" | "poweroff" => return refuse("shutdown"),
        "init" | "telinit" if given(&|word| matches!(word, "0" | "6")) => return refuse("shutdown"),
        "systemctl" if given(&|word| matches!(word, "poweroff" | "reboot" | "halt" | "kexec" | "rescue" | "emergency" | "suspend")) => {
            return refuse("shutdown");
        }
        "kill" if arguments.len() > 1 && arguments[1..].iter().any(|word| word == "-1") => return refuse("kill_everything"),
        "killall5" => return refuse("kill_everything"),
        "chmod" | "chown" | "chgrp" | "setfacl" if flag(&['R'], "recursive") && given(&is_root) => {
            return refuse("change_root_permissions");
        }
        "eval" => return read(LOOSELY, &arguments.join(" "), depth),
        "watch" => {
            let options = arguments.iter().take_while(|word| word.starts_with('-') || word.parse::<f64>().is_ok()).count();
            return read(LOOSELY, &arguments[options..].join(" "), depth);
        }
        "parallel" => {
            let words = arguments.iter().take_while(|word| !word.starts_with(":::"));
            let line: Vec<&str> =
                words.skip_while(|word| word.starts_with('-') || word.parse::<f64>().is_ok()).map(String::as_str).collect();
            return read(LOOSELY, &line.join(" "), depth);
        }
        "trap" => arguments.first().map_or(Ok(()), |line| read(LOOSELY, line, depth))?,
        "alias" => arguments.iter().filter_map(|word| word.split_once('=')).try_for_each(|(_, line)| read(LOOSELY, line, depth))?,
        "su" | "runuser" | "script" => {
            let lines = arguments.windows(2).filter(|pair| matches!(pair[0].as_str(), "-c" | "--command")).map(|pair| pair[1].as_str());
            let hanging = arguments.iter().filter_map(|word| word.strip_prefix("--command="));
            lines.chain(hanging).try_for_each(|line| read(LOOSELY, line, depth))?;
        }
        "find" => {
            for (at, _) in arguments.iter().enumerate().filter(|(_, word)| executes(word)) {
                let Some(depth) = depth.checked_sub(1) else { return refuse("hidden_command") };
                argv(&arguments[at + 1..], depth)?;
            }
        }
        "tar" | "gtar" | "bsdtar" => {
            let hanging = arguments.iter().filter_map(|word| word.strip_prefix("--checkpoint-action="));
            let next = arguments.windows(2).filter(|pair| pair[0] == "--checkpoint-action").map(|pair| pair[1].as_str());
            let lines = hanging.chain(next).filter_map(|action| action.strip_prefix("exec="));
            let whole = arguments.windows(2).filter(|pair| matches!(pair[0].as_str(), "--to-command" | "--use-compress-program" | "-I"));
            let hung = arguments
                .iter()
                .filter_map(|word| word.strip_prefix("--to-command=").or_else(|| word.strip_prefix("--use-compress-program=")));
            lines.chain(whole.map(|pair| pair[1].as_str())).chain(hung).try_for_each(|line| read(LOOSELY, line, depth))?;
        }
        "git" => git_commands(arguments).iter().try_for_each(|line| read(LOOSELY, line, depth))?,
        _ => {}
    }
    nested(&name, arguments, depth)
}

/// What `git` is told to start by a setting on its command line.
fn git_commands(arguments: &[String]) -> Vec<String> {
    let settings = arguments.windows(2).filter(|pair| pair[0] == "-c" || pair[0] == "--config").map(|pair| pair[1].as_str());
    settings
        .filter_map(|setting| {
            let (name, value) = setting.split_once('=')?;
            let name = name.to_ascii_lowercase();
            let starts = ["pager", "editor", "sshcommand", "command", "fsmonitor", "askpass", "program", "helper", "hookspath"];
            let alias = name.starts_with("alias.").then(|| value.strip_prefix('!')).flatten();
            alias.or_else(|| starts.iter().any(|end| name.ends_with(end)).then_some(value)).map(str::to_owned)
        })
        .collect()
}

/// Whether an argument of `find` says that a program is started.
pub(super) fn executes(word: &str) -> bool {
    matches!(word, "-exec" | "-execdir" | "-ok" | "-okdir")
}

/// Whether `find` is told to delete what it finds.
fn deletes(arguments: &[String]) -> bool {
    // A search that is narrowed down (by name, age, size) may be meant.
    let narrowed = |word: &str| word.contains("name") || word.contains("time") || word == "-size" || word == "-path" || word == "-regex";
    let removing = arguments.iter().any(|word| word == "-delete")
        || arguments.windows(2).any(|pair| executes(&pair[0]) && matches!(program(&pair[1]).as_str(), "rm" | "shred" | "unlink"));
    removing && !arguments.iter().any(|word| narrowed(word))
}

/// Whether writing to `target` destroys something.
fn written(target: impl AsRef<str>) -> Result<(), Refusal> {
    let target = target.as_ref();
    if is_disk(target) {
        return Err(Refusal::of("write_device"));
    }
    if target == "/proc/sysrq-trigger" {
        return Err(Refusal::of("shutdown"));
    }
    if is_system_file(target) { Err(Refusal::of("overwrite_system_file")) } else { Ok(()) }
}

/// Whether an interpreter is given no file of its own, and so runs what is piped into it.
fn reads_input(words: &[String]) -> bool {
    words[1..].iter().all(|word| word.starts_with('-') || word == "/dev/stdin") || words.iter().any(|word| word == "-s")
}

/// Whether it makes a text of an encoding: what stands in it cannot be looked at.
fn decodes(simple: &Simple) -> bool {
    let texts = simple.texts();
    let words = plain(&texts);
    let has = |letters: &[char], long: &str| {
        words.iter().skip(1).any(|word| {
            let short = word.strip_prefix('-').filter(|rest| !rest.starts_with('-')).is_some_and(|rest| rest.contains(letters));
            short || (word.starts_with("--") && word.len() > 2 && long.starts_with(word.as_str()))
        })
    };
    match words.first().map(|word| program(word)).unwrap_or_default().as_str() {
        "base64" | "base32" | "basenc" => has(&['d', 'D'], "--decode"),
        "xxd" => has(&['r'], "--revert"),
        "openssl" => words.iter().any(|word| word == "-d"),
        "uudecode" => true,
        _ => false,
    }
}

fn fetches(commands: &[Simple]) -> bool {
    commands.iter().any(|simple| plain(&simple.texts()).first().is_some_and(|word| matches!(program(word).as_str(), "curl" | "wget")))
}

/// `:(){ :|:& };:` under whatever name.
fn is_fork_bomb(name: &str, body: &[Simple]) -> bool {
    let calls = |simple: &Simple| simple.words.first().is_some_and(|word| word.text == name);
    body.windows(2).any(|pair| pair[1].piped && calls(&pair[0]) && calls(&pair[1]))
}
