//! `commands.json`: what is refused, by which rule, and what is let through although it looks alike.

use std::collections::BTreeMap;

use super::check;

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
