//! `commands.json`: what is refused, by which rule, and what is let through although it looks alike.

use std::collections::BTreeMap;

use super::{Commands, check};

#[test]
fn each_command_gets_its_verdict() {
    let table: BTreeMap<String, BTreeMap<String, Vec<String>>> = serde_json::from_str(include_str!("commands.json")).unwrap();
    let mut wrong = Vec::new();
    for (shell, verdicts) in &table {
        for (verdict, commands) in verdicts {
            for command in commands {
                let found = check(shell, command).err().map_or("safe", |refusal| refusal.rule);
                if found != verdict {
                    wrong.push(format!("{shell}: {command:?} is {found}, not {verdict}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for rule in super::RULES {
        assert!(table.values().any(|verdicts| verdicts.contains_key(rule.name)), "no command shows {}", rule.name);
    }
}

#[test]
fn nothing_it_reads_makes_it_fail_or_hang() {
    let deep = format!("{}echo{}", "$(".repeat(10_000), ")".repeat(10_000));
    assert_eq!(check("bash", &deep).unwrap_err().rule, "hidden_command");
    let many: Vec<String> =
        ["call ", ". ", "a(){ ", "a|", "$(", "`", "eval ", "bash -c ", "(", "{ ", "\"", "sudo ", "for x do ", ">", "& "]
            .iter()
            .map(|part| part.repeat(50_000))
            .collect();
    for shell in ["bash", "cmd", "powershell"] {
        for text in &many {
            let _ = check(shell, text);
        }
        for text in [
            "", "'", "\"", "`", "$(", "<(", "\\", "^", "&&&|||", "\u{202e}", "(((((", "> >", ">>>>", "a=", "=", "-", "rm", "rm -r", "kill",
            "timeout",
        ] {
            let _ = check(shell, text);
        }
    }
}

/// `allowed.json`: with that list, what runs and what is refused by which rule.
#[test]
fn with_a_list_only_what_it_lists_is_allowed() {
    let table: serde_json::Value = serde_json::from_str(include_str!("allowed.json")).unwrap();
    let list: Vec<String> = serde_json::from_value(table["list"].clone()).unwrap();
    let commands = Commands::only(&list).unwrap();
    let mut wrong = Vec::new();
    let mut shown = Vec::new();
    for shell in ["bash", "sh", "zsh", "fish", "powershell", "cmd", "argv"] {
        for (verdict, lines) in table[shell].as_object().unwrap() {
            shown.push(verdict.as_str());
            for line in lines.as_array().unwrap() {
                let checked = match line.as_str() {
                    Some(line) => commands.check(shell, line),
                    None => commands.check_argv(&serde_json::from_value::<Vec<String>>(line.clone()).unwrap()),
                };
                let found = checked.err().map_or("allowed", |refusal| refusal.rule);
                if found != verdict {
                    wrong.push(format!("{shell}: {line} is {found}, not {verdict}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let of_lines = super::RULES_OF_A_LIST.iter().filter(|rule| !matches!(rule.name, "terminal" | "variable"));
    assert!(of_lines.into_iter().all(|rule| shown.contains(&rule.name)));
    assert_eq!(commands.check_terminal().unwrap_err().rule, "terminal", "what is typed there is not looked at");
    assert_eq!(commands.check_variable("GIT_PAGER").unwrap_err().rule, "variable");
    assert!(commands.check_variable("LC_ALL").is_ok() && Commands::default().check_variable("GIT_PAGER").is_ok());
}

#[test]
fn a_list_names_programs() {
    assert!(Commands::only(&[]).unwrap().check("bash", "touch C").is_ok(), "no list allows what does not destroy");
    for bad in ["", "*", "* a", "$X", "{a,b}", "echo ["] {
        assert!(Commands::only(&[bad.to_owned()]).is_err(), "{bad:?}");
    }
}
