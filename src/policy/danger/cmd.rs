//! The Windows command line: commands separated by `&` and `|`, flags that begin with a slash.

use super::words::{is_disk, is_windows_root, program};
use super::{Refusal, nested, read};

pub(super) fn check(line: &str, depth: usize) -> Result<(), Refusal> {
    let bare: String = line.chars().filter(|c| !c.is_whitespace()).collect();
    if bare.contains("%0|%0") {
        return Err(Refusal::of("fork_bomb"));
    }
    for part in cut(line) {
        command(&part, depth)?;
    }
    Ok(())
}

fn command(words: &[String], depth: usize) -> Result<(), Refusal> {
    let Some((first, arguments)) = words.split_first() else { return Ok(()) };
    let name = program(first.trim_start_matches(['@', '(']));
    let name = name.trim_end_matches(".exe").trim_end_matches(".com");
    let flag = |letter: &str| arguments.iter().any(|word| word.to_ascii_lowercase().split('/').skip(1).any(|flag| flag == letter));
    let given = |test: &dyn Fn(&str) -> bool| arguments.iter().any(|word| test(word));
    let drive = |word: &str| word.len() == 2 && word.ends_with(':');
    let refuse = |rule| Err(Refusal::of(rule));
    let all = |word: &str| matches!(word.trim_matches('"'), "*" | "*.*" | "." | "..") || is_windows_root(word);
    match name {
        "format" if given(&drive) => refuse("format_disk"),
        "diskpart" => refuse("format_disk"),
        "cipher" if arguments.iter().any(|word| word.to_ascii_lowercase().starts_with("/w")) => refuse("format_disk"),
        "del" | "erase" if flag("s") && given(&all) => refuse("delete_root"),
        "del" | "erase" if given(&is_windows_root) => refuse("delete_root"),
        "rd" | "rmdir" if flag("s") && given(&all) => refuse("delete_root"),
        "shutdown" if flag("s") || flag("r") || flag("p") || flag("h") || given(&|word| matches!(word, "-s" | "-r" | "-p" | "-h")) => {
            refuse("shutdown")
        }
        "bcdedit" | "bootsect" if !arguments.is_empty() => refuse("overwrite_system_file"),
        "reg" if given(&|word| word.eq_ignore_ascii_case("delete")) && given(&is_hive) => refuse("overwrite_system_file"),
        "vssadmin" | "wbadmin" if given(&|word| word.eq_ignore_ascii_case("delete")) => refuse("delete_root"),
        "icacls" | "takeown" if (flag("t") || flag("r")) && given(&is_windows_root) => refuse("change_root_permissions"),
        "call" | "start" => {
            let Some(depth) = depth.checked_sub(1) else { return refuse("hidden_command") };
            let inner: Vec<String> = arguments.iter().filter(|word| !word.starts_with('/') && !word.is_empty()).cloned().collect();
            command(&inner, depth)
        }
        "for" | "if" => match arguments.iter().position(|word| word.eq_ignore_ascii_case("do")) {
            Some(at) => read("cmd", &arguments[at + 1..].join(" "), depth),
            None => Ok(()),
        },
        _ if given(&is_disk) && matches!(name, "copy" | "type" | "dd") => refuse("write_device"),
        _ => nested(name, arguments, depth),
    }
}

fn is_hive(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let hive = word.trim_end_matches(['\\', '*']);
    matches!(hive, "hklm" | "hkcu" | "hkcr" | "hku" | "hkey_local_machine" | "hkey_current_user" | "hkey_classes_root")
        || hive.starts_with("hklm\\system") && hive.split('\\').count() <= 2
        || hive.starts_with("hklm\\software") && hive.split('\\').count() <= 2
}

/// Cuts a line into commands, each into words; double quotes keep a word together and are dropped, `^` takes the next letter as it is.
pub(super) fn cut(line: &str) -> Vec<Vec<String>> {
    let (mut done, mut words, mut word) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut letters) = (false, line.chars());
    while let Some(c) = letters.next() {
        match c {
            '"' => quoted = !quoted,
            '^' if !quoted => word.extend(letters.next().filter(|next| *next != '\n')),
            '&' | '|' | '\n' | '\r' | '(' | ')' if !quoted => {
                words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
                done.extend((!words.is_empty()).then(|| std::mem::take(&mut words)));
            }
            ' ' | '\t' | ',' | ';' | '=' if !quoted => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            // `del/s/q` needs no blank.
            '/' if !quoted && words.is_empty() && !word.is_empty() && !word.contains([':', '\\', '/', '.']) => {
                words.push(std::mem::replace(&mut word, "/".to_owned()));
            }
            other => word.push(other),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    done.extend((!words.is_empty()).then_some(words));
    done
}
