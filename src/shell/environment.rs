//! What a command gets of the environment: an allow-list, so that the server's secrets stay with the server.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::Error;

/// Variables that commands inherit, beside `LC_*` and `XDG_*`. Everything else stays with the server.
const INHERITED: &[&str] = &[
    "DBUS_SESSION_BUS_ADDRESS",
    "HOME",
    "LANG",
    "LANGUAGE",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
    "XAUTHORITY",
    // Without these hardly any Windows program starts.
    "APPDATA",
    "COMSPEC",
    "LOCALAPPDATA",
    "PATHEXT",
    "PROGRAMDATA",
    "PROGRAMFILES",
    "SYSTEMDRIVE",
    "SYSTEMROOT",
    "TEMP",
    "TMP",
    "USERPROFILE",
    "WINDIR",
];

/// Variables that change which code a program runs, so that allowing `git` would no longer mean git.
const LOADERS: &[&str] = &[
    "BASH_ENV",
    "BASHOPTS",
    "ENV",
    "IFS",
    "NODE_OPTIONS",
    "PATH",
    "PERL5LIB",
    "PERL5OPT",
    "PROMPT_COMMAND",
    "PS4",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "RUBYLIB",
    "RUBYOPT",
    "SHELLOPTS",
    "GCONV_PATH",
    "JAVA_TOOL_OPTIONS",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
];

/// Prefixes of the same kind.
const LOADER_PREFIXES: &[&str] = &["LD_", "DYLD_", "BASH_FUNC_", "GLIBC_TUNABLES"];

/// Bytes that one value may have.
const LONGEST: usize = 32 * 1024;

/// What of `all` commands inherit.
pub(super) fn inherited(all: impl Iterator<Item = (OsString, OsString)>) -> BTreeMap<OsString, OsString> {
    all.filter(|(name, _)| name.to_str().is_some_and(is_inherited)).collect()
}

fn is_inherited(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    INHERITED.contains(&upper.as_str()) || upper.starts_with("LC_") || upper.starts_with("XDG_")
}

/// Refuses names that are none, variables of loaders, and values that no program could be given.
pub(super) fn check(variables: &BTreeMap<String, String>) -> Result<(), Error> {
    for (name, value) in variables {
        let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        if !first || name.len() > 256 || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let shown: String = name.chars().take(64).collect();
            return Err(Error::Invalid(format!("{shown:?} is not the name of a variable: use letters, digits and _, no digit first")));
        }
        let upper = name.to_ascii_uppercase();
        if LOADERS.contains(&upper.as_str()) || LOADER_PREFIXES.iter().any(|prefix| upper.starts_with(prefix)) {
            return Err(Error::Invalid(format!(
                "{name} decides which code programs load and cannot be set: set it inside the command itself"
            )));
        }
        if value.contains('\0') || value.len() > LONGEST {
            return Err(Error::Invalid(format!("the value of {name} is not possible: at most 32 KiB, without NUL characters")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_with_the_server() {
        let all = ["PATH", "LC_ALL", "XDG_RUNTIME_DIR", "API_KEY", "JWT_SECRET", "AWS_ACCESS_KEY_ID", "LD_PRELOAD"];
        let kept = inherited(all.iter().map(|name| (OsString::from(name), OsString::from("x"))));
        assert_eq!(kept.keys().collect::<Vec<_>>(), ["LC_ALL", "PATH", "XDG_RUNTIME_DIR"]);
    }

    #[test]
    fn bad_names_and_loaders_are_refused() {
        for name in ["", "A=B", "A\0", "1A", "ä", "LD_PRELOAD", "ld_library_path", "BASH_ENV", "PATH", "BASH_FUNC_x"] {
            assert!(check(&BTreeMap::from([(name.to_owned(), "x".to_owned())])).is_err(), "{name:?} was accepted");
        }
        assert!(check(&BTreeMap::from([("A_1".to_owned(), "ä=\n".to_owned())])).is_ok());
        assert!(check(&BTreeMap::from([("A".to_owned(), "x".repeat(40_000))])).is_err());
    }
}
