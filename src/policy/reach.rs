//! What the commands of a run may touch: the files and folders that the globs of its grant come to.
//!
//! The kernel holds commands to files and folders, it knows no globs: `reports/*.csv` becomes the folder `reports`, `out.txt` that file.

use std::path::{Path, PathBuf};

/// A file or folder, with everything in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where it is, absolute.
    pub path: PathBuf,
    /// Whether the permission names exactly this, and not what lies in it.
    pub exact: bool,
}

/// What commands may touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// Places that may be read.
    pub read: Vec<Place>,
    /// Places that may be written.
    pub write: Vec<Place>,
    /// Whether they may use the desktop, which they do through a socket.
    pub desktop: bool,
    /// Whether they may signal processes that they did not start.
    pub processes: bool,
    /// The folder in which relative paths lie.
    pub files: PathBuf,
    /// What the server keeps for itself, whatever lies around it; of its own folder only `files` is open.
    pub kept: Vec<PathBuf>,
}

impl Reach {
    /// How a permission names a path.
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.files).unwrap_or(path).to_string_lossy().into_owned()
    }
}

/// What the patterns of all layers have in common.
pub(super) fn common<'a>(layers: impl Iterator<Item = &'a Vec<String>>, files: &Path) -> Vec<Place> {
    let mut layers = layers.map(|patterns| patterns.iter().map(|pattern| place(pattern, files)).collect::<Vec<_>>());
    let first = layers.next().unwrap_or_default();
    layers.fold(first, |so_far, layer| meet(&so_far, &layer))
}

fn meet(some: &[Place], others: &[Place]) -> Vec<Place> {
    let mut both: Vec<Place> = Vec::new();
    for one in some {
        for other in others {
            let inner = if one.path.starts_with(&other.path) {
                one
            } else if other.path.starts_with(&one.path) {
                other
            } else {
                continue;
            };
            if !both.contains(inner) {
                both.push(inner.clone());
            }
        }
    }
    both
}

/// What a pattern comes to: itself where it has no wildcards, else the folder before the first of them.
fn place(pattern: &str, files: &Path) -> Place {
    if matches!(pattern, "**" | "/**") {
        return Place { path: PathBuf::from("/"), exact: false };
    }
    let (mut text, mut exact) = (String::new(), true);
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => text.extend(rest.next()),
            // A class of one letter is that letter: so names with wildcards in them are written.
            '[' if rest.clone().nth(1) == Some(']') => {
                text.extend(rest.next());
                rest.next();
            }
            '*' | '?' | '[' | '{' => {
                exact = false;
                break;
            }
            other => text.push(other),
        }
    }
    if !exact {
        text.truncate(text.rfind('/').map_or(0, |at| at + 1));
    }
    // Without a slash at its end, as a path of a folder is compared.
    let path = files.join(text).components().collect();
    Place { path, exact }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_come_to_the_folder_before_them() {
        for (pattern, path, exact) in [
            ("out.txt", "/data/files/out.txt", true),
            ("reports/**", "/data/files/reports", false),
            ("reports/2026-*/x.csv", "/data/files/reports", false),
            ("*.csv", "/data/files", false),
            ("**/x.csv", "/data/files", false),
            ("/srv/in/*", "/srv/in", false),
            ("/srv/in", "/srv/in", true),
            ("a[*]b/c\\?", "/data/files/a*b/c?", true),
            ("a[bc]/d", "/data/files", false),
            ("**", "/", false),
        ] {
            assert_eq!(place(pattern, Path::new("/data/files")), Place { path: path.into(), exact }, "{pattern}");
        }
    }

    #[test]
    fn every_layer_has_its_say() {
        let layers = [vec!["**".to_owned()], vec!["a/**".to_owned(), "/srv/x".to_owned()], vec!["a/b/*".to_owned(), "c".to_owned()]];
        let found = common(layers.iter(), Path::new("/f"));
        assert_eq!(found, [Place { path: "/f/a/b".into(), exact: false }]);
        assert_eq!(common(std::iter::empty(), Path::new("/f")), []);
    }
}
