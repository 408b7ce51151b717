//! Which languages are installed, and which of them one reading uses.

use std::path::{Path, PathBuf};

use super::Error;

/// Where distributions keep Tesseract's languages.
const FOLDERS: &[&str] = &[
    "/usr/share/tesseract-ocr/5/tessdata",
    "/usr/share/tesseract-ocr/4.00/tessdata",
    "/usr/share/tessdata",
    "/usr/share/tesseract/tessdata",
    "/usr/local/share/tessdata",
    "/opt/homebrew/share/tessdata",
];

/// Languages that one reading uses at most: each costs its full time again.
const MOST: usize = 8;

/// The languages that the neural engine knows all letters of, by Tesseract's names.
pub(super) const NEURAL: &[&str] = &[
    "afr", "cat", "ces", "chi_sim", "chi_tra", "cym", "dan", "deu", "ell", "eng", "est", "eus", "fin", "fra", "gle", "hrv", "hun", "ind",
    "isl", "ita", "jpn", "lav", "lit", "msa", "nld", "nor", "pol", "por", "ron", "slk", "slv", "spa", "sqi", "swe", "tur",
];

/// Whether signs of Chinese or Japanese may stand in a text of these languages.
pub(super) fn east_asian(languages: &str) -> bool {
    languages.split('+').any(|name| ["chi_sim", "chi_tra", "jpn"].contains(&name))
}

/// The languages of a reading by the neural engine: those that were asked for, else those of the settings that it reads.
pub(super) fn of_neural(asked: Option<&str>, configured: &[String]) -> Result<String, Error> {
    let read = |name: &str| NEURAL.contains(&name);
    if let Some(asked) = asked {
        return match split(asked)?.into_iter().find(|name| !read(name)) {
            Some(unread) => Err(Error::Unread(unread)),
            None => Ok(asked.to_owned()),
        };
    }
    let known: Vec<&str> = configured.iter().flat_map(|name| name.split('+')).filter(|name| read(name)).collect();
    Ok(if known.is_empty() { "eng".to_owned() } else { known.join("+") })
}

/// The languages that are installed, by name.
pub(super) fn installed() -> Result<Vec<String>, Error> {
    let (_, names) = folder().ok_or(Error::NoTesseract)?;
    Ok(names)
}

/// Those of `configured` that are not installed; none where nothing is.
pub(super) fn missing(configured: &[String]) -> Vec<String> {
    let installed = installed().unwrap_or_default();
    let names = configured.iter().flat_map(|name| name.split('+'));
    names.filter(|name| !installed.is_empty() && !installed.iter().any(|known| known == name)).map(str::to_owned).collect()
}

/// The folder and the languages joined by `+` for a reading that asks for `asked`.
pub(super) fn chosen(asked: Option<&str>, configured: &[String]) -> Result<(String, String), Error> {
    let asked = asked.map(split).transpose()?;
    let (folder, installed) = folder().ok_or(Error::NoTesseract)?;
    let wanted = match asked {
        Some(wanted) => {
            if let Some(missing) = wanted.iter().find(|name| !installed.contains(name)) {
                return Err(Error::Language { language: missing.clone(), installed });
            }
            wanted
        }
        None => {
            let mut wanted: Vec<String> = Vec::new();
            for name in configured {
                wanted.extend(split(name)?.into_iter().filter(|name| installed.contains(name)));
            }
            if wanted.is_empty() {
                return Err(Error::Language { language: configured.first().cloned().unwrap_or_else(|| "eng".to_owned()), installed });
            }
            wanted
        }
    };
    let mut unique: Vec<String> = Vec::new();
    for name in wanted {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    Ok((folder, unique.join("+")))
}

/// Tesseract takes what it is given for a file's name, and its binding panics on NUL: so the shape is checked first.
pub(super) fn split(text: &str) -> Result<Vec<String>, Error> {
    let names: Vec<String> = text.split('+').map(str::to_owned).collect();
    let well_formed = |name: &String| {
        let name = name.strip_prefix("script/").unwrap_or(name);
        !name.is_empty()
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
    };
    if text.len() <= 200 && names.len() <= MOST && names.iter().all(well_formed) {
        return Ok(names);
    }
    let shown: String = text.chars().take(64).collect();
    Err(Error::Invalid(format!("{shown:?} is not a language: write it like eng, or deu+eng for several (at most {MOST})")))
}

/// The first folder that holds languages, and their names.
fn folder() -> Option<(String, Vec<String>)> {
    let prefix = std::env::var_os("TESSDATA_PREFIX").map(PathBuf::from);
    let named = prefix.into_iter().flat_map(|prefix| [prefix.clone(), prefix.join("tessdata")]);
    named.chain(FOLDERS.iter().map(PathBuf::from)).find_map(|folder| {
        let names = names(&folder);
        let text = folder.to_str()?.to_owned();
        (!names.is_empty()).then_some((text, names))
    })
}

fn names(folder: &Path) -> Vec<String> {
    let in_folder = |folder: &Path, prefix: &str| -> Vec<String> {
        std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let name = entry.ok()?.file_name();
                Some(format!("{prefix}{}", name.to_str()?.strip_suffix(".traineddata")?))
            })
            // It tells how a page is turned, and reads nothing.
            .filter(|name| name != "osd")
            .collect()
    };
    let mut names = in_folder(folder, "");
    names.extend(in_folder(&folder.join("script"), "script/"));
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_languages_never_reach_tesseract() {
        for text in
            ["", "../../x", "eng\0", "eng+", "+eng", "/etc/x", "eng deu", "script/", "script/../x", "-x", "e.g", &"e".repeat(10_000)]
        {
            assert!(split(text).is_err(), "{text:?} was accepted");
        }
        assert_eq!(split("deu+script/Latin+chi_sim").unwrap(), ["deu", "script/Latin", "chi_sim"]);
    }

    #[test]
    fn configured_languages_that_are_not_installed_are_named() {
        let configured = ["eng".to_owned(), "xyz+eng".to_owned()];
        assert_eq!(missing(&configured), ["xyz"]);
    }

    #[test]
    fn the_neural_engine_says_which_languages_it_does_not_read() {
        let configured = ["rus", "deu+eng"].map(str::to_owned);
        assert_eq!(of_neural(None, &configured).unwrap(), "deu+eng");
        assert_eq!(of_neural(None, &["rus".to_owned()]).unwrap(), "eng");
        assert_eq!(of_neural(Some("fra+spa"), &configured).unwrap(), "fra+spa");
        assert!(of_neural(Some("fra+rus"), &[]).unwrap_err().to_string().contains("\"rus\""));
        assert!(matches!(of_neural(Some("fra\0"), &[]), Err(Error::Invalid(_))));
    }
}
