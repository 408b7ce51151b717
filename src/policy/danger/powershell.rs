//! PowerShell: cmdlets, their aliases, parameters that may be shortened.

use super::words::{is_disk, is_root, is_windows_root, program};
use super::{Refusal, nested};

pub(super) fn check(line: &str, depth: usize) -> Result<(), Refusal> {
    let commands = cut(line);
    let web = |words: &[String]| {
        words.iter().any(|word| {
            let word = word.to_ascii_lowercase();
            matches!(word.as_str(), "iwr" | "irm" | "curl" | "wget" | "invoke-webrequest" | "invoke-restmethod")
                || word.contains("downloadstring")
                || word.contains("downloaddata")
        })
    };
    let runs = |words: &[String]| words.iter().any(|word| matches!(word.to_ascii_lowercase().as_str(), "iex" | "invoke-expression"));
    if commands.iter().any(|words| web(words)) && commands.iter().any(|words| runs(words)) {
        return Err(Refusal::of("pipe_from_web"));
    }
    commands.iter().try_for_each(|words| command(words, depth))
}

fn command(words: &[String], depth: usize) -> Result<(), Refusal> {
    let begin = words.iter().position(|word| word != ".").unwrap_or(words.len());
    let words = &words[begin..];
    let Some((first, arguments)) = words.split_first() else { return Ok(()) };
    let name = program(first);
    let refuse = |rule| Err(Refusal::of(rule));
    let root = |word: &str| is_root(word) || is_windows_root(word);
    let given = |test: &dyn Fn(&str) -> bool| arguments.iter().any(|word| !word.starts_with('-') && test(word));
    // Piped: `Get-ChildItem C:\ | Remove-Item -Recurse` names nothing itself; what it gets is looked at where it is listed.
    let recursive = arguments.iter().any(|word| abbreviates(word, "-recurse", 2) || matches!(word.as_str(), "-rf" | "-fr"));
    match name.trim_end_matches(".exe") {
        "remove-item" | "ri" | "rm" | "del" | "rd" | "rmdir" | "erase" if recursive && given(&root) => refuse("delete_root"),
        "get-childitem" | "gci" | "dir" | "ls" if given(&root) && arguments.iter().any(|word| word == "\0remove-item") => {
            refuse("delete_root")
        }
        "format-volume" | "clear-disk" | "initialize-disk" | "remove-partition" | "reset-physicaldisk" | "diskpart" => {
            refuse("format_disk")
        }
        "format" if given(&|word: &str| word.len() == 2 && word.ends_with(':')) => refuse("format_disk"),
        "stop-computer" | "restart-computer" => refuse("shutdown"),
        "shutdown" if !arguments.is_empty() => refuse("shutdown"),
        "bcdedit" if !arguments.is_empty() => refuse("overwrite_system_file"),
        "set-content" | "sc" | "out-file" | "add-content" | "dd" if given(&is_disk) => refuse("write_device"),
        "vssadmin" if given(&|word: &str| word.eq_ignore_ascii_case("delete")) => refuse("delete_root"),
        _ if arguments.iter().any(|word| word.strip_prefix("of=").is_some_and(is_disk)) => refuse("write_device"),
        // On other systems these are the programs of that name, and PowerShell hands the words on.
        "mkfs" | "shred" | "reboot" | "halt" | "poweroff" | "chmod" | "chown" => super::check_argv(words),
        name => nested(name, arguments, depth),
    }
}

/// Whether a word is a parameter, possibly cut short to at least so many letters after the dash.
pub(super) fn abbreviates(word: &str, parameter: &str, least: usize) -> bool {
    let word = word.to_ascii_lowercase();
    let word = word.split(':').next().unwrap_or_default();
    word.len() >= least && parameter.starts_with(word)
}

/// `-EncodedCommand`, `-enc`, `-e`, and `-ec`, which is a name of its own.
pub(super) fn is_encoded(word: &str) -> bool {
    abbreviates(word, "-encodedcommand", 2) || word.eq_ignore_ascii_case("-ec")
}

/// Cuts a line into commands and words; quotes are dropped, a backtick takes the next letter as it is.
pub(super) fn cut(line: &str) -> Vec<Vec<String>> {
    let (mut done, mut words, mut word) = (Vec::new(), Vec::<String>::new(), String::new());
    let (mut quote, mut letters) = (None, line.chars().map(as_typed).peekable());
    while let Some(c) = letters.next() {
        match (c, quote) {
            ('`', None | Some('"')) => word.extend(letters.next()),
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(mark)) if c == mark => quote = None,
            ('#', None) if word.is_empty() => while letters.next_if(|c| *c != '\n').is_some() {},
            (';' | '|' | '&' | '\n' | '\r' | '{' | '}' | '(' | ')', None) => {
                words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
                done.extend((!words.is_empty()).then(|| std::mem::take(&mut words)));
            }
            (' ' | '\t' | ',', None) => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            (other, _) => word.push(other),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    done.extend((!words.is_empty()).then_some(words));
    mark_piped_removals(&mut done);
    done
}

/// PowerShell takes typographic quotes and dashes for plain ones.
fn as_typed(c: char) -> char {
    match c {
        '\u{2018}'..='\u{201b}' => '\'',
        '\u{201c}'..='\u{201e}' => '"',
        '\u{2013}'..='\u{2015}' => '-',
        other => other,
    }
}

/// A listing whose result is removed is told so, since the removal itself names no path.
fn mark_piped_removals(commands: &mut [Vec<String>]) {
    let removes = |words: &Vec<String>| {
        words.first().is_some_and(|word| matches!(program(word).as_str(), "remove-item" | "ri" | "rm" | "del" | "erase" | "rd" | "rmdir"))
    };
    for at in 1..commands.len() {
        if removes(&commands[at]) && commands[at].iter().skip(1).all(|word| word.starts_with('-')) {
            commands[at - 1].push("\0remove-item".to_owned());
        }
    }
}
