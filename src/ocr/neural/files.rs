//! The files that the neural engine is made of, each known by its hash: nothing else is ever loaded.
//!
//! All of them are parts of packages of the Python index that carry them for Python's own use: ONNX Runtime's library, and the networks
//! of PP-OCR for finding lines, for telling which way up one is, and for reading it. How they get here is not decided in this place.

use std::path::Path;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

/// A package that holds some of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Package {
    /// Its name in the index.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The SHA-256 of the one wheel that is meant.
    pub sha256: &'static str,
    /// The platform that the wheel is made for, as pip says it.
    pub platform: &'static str,
}

/// One file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelFile {
    /// What it is called in the folder of models.
    pub name: &'static str,
    /// The package it comes in.
    pub package: &'static str,
    /// Its path in the package's wheel.
    pub inside: &'static str,
    /// Its SHA-256.
    pub sha256: &'static str,
    /// Its length in bytes.
    pub bytes: u64,
}

pub(super) const LIBRARY: &str = "libonnxruntime.so";
pub(super) const DETECT: &str = "detect.onnx";
pub(super) const DIRECTION: &str = "direction.onnx";
pub(super) const RECOGNISE: &str = "recognise.onnx";

const RUNTIME: &str = "onnxruntime";
const MODELS: &str = "rapidocr";

/// The packages for this platform, or why there are none.
///
/// # Errors
/// Where ONNX Runtime's library is not known for this system and processor.
pub fn packages() -> Result<[Package; 2], String> {
    let (platform, sha256) = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => ("manylinux_2_28_x86_64", "5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d"),
        ("linux", "aarch64") => ("manylinux_2_28_aarch64", "2303372a85299b6757b0e11e1cbf13e410ddf7e10c37f4b37e99d1c90e7daf7c"),
        (system, processor) => {
            return Err(format!("the neural engine is made for Linux on x86_64 and aarch64, not for {system} on {processor}"));
        }
    };
    Ok([
        Package { name: RUNTIME, version: "1.32.0", sha256, platform },
        Package { name: MODELS, version: "3.10.0", sha256: "2fc34e26cd0f48514804a94f8832283039c7334076bff60768b1fed9ad068050", platform },
    ])
}

/// The files for this platform.
///
/// # Errors
/// As [`packages`].
pub fn files() -> Result<[ModelFile; 4], String> {
    packages()?;
    let (sha256, bytes) = match std::env::consts::ARCH {
        "aarch64" => ("49852228a93995158b2a813d4df487d47a1b76b0eaa894507ef49e91b6d7954a", 27_165_936),
        _ => ("6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f", 34_824_680),
    };
    let network = |name, inside, sha256, bytes| ModelFile { name, package: MODELS, inside, sha256, bytes };
    Ok([
        ModelFile { name: LIBRARY, package: RUNTIME, inside: "onnxruntime/capi/libonnxruntime.so.1.32.0", sha256, bytes },
        network(
            DETECT,
            "rapidocr/models/PP-OCRv6_det_small.onnx",
            "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
            9_929_594,
        ),
        network(
            DIRECTION,
            "rapidocr/models/ch_ppocr_mobile_v2.0_cls_mobile.onnx",
            "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
            585_532,
        ),
        network(
            RECOGNISE,
            "rapidocr/models/PP-OCRv6_rec_small.onnx",
            "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
            21_234_383,
        ),
    ])
}

/// The SHA-256 of some bytes, as it is written down here.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether these bytes are the file.
///
/// # Errors
/// What is wrong with them.
pub fn is_it(file: &ModelFile, bytes: &[u8]) -> Result<(), String> {
    let hash = sha256(bytes);
    if hash == file.sha256 {
        return Ok(());
    }
    let length = bytes.len() as u64;
    Err(if length == file.bytes {
        format!("{} is not the file that belongs there: its SHA-256 is {hash}", file.name)
    } else {
        format!("{} has {length} bytes instead of {}: it is not the file that belongs there", file.name, file.bytes)
    })
}

/// Reads one of them, and makes sure that it is the one.
pub(super) fn read(folder: &Path, name: &str) -> Result<Vec<u8>, String> {
    let file = files()?.into_iter().find(|file| file.name == name).ok_or_else(|| format!("there is no file {name}"))?;
    let path = folder.join(name);
    // Whoever puts something endless there must not fill the memory.
    let length = std::fs::metadata(&path).map_err(|error| missing(&path, &error))?.len();
    if length != file.bytes {
        return Err(format!("{name} has {length} bytes instead of {}: it is not the file that belongs there", file.bytes));
    }
    let bytes = std::fs::read(&path).map_err(|error| missing(&path, &error))?;
    is_it(&file, &bytes)?;
    Ok(bytes)
}

fn missing(path: &Path, error: &std::io::Error) -> String {
    if error.kind() == std::io::ErrorKind::NotFound {
        format!("{} is not there", path.display())
    } else {
        format!("{} cannot be read ({error})", path.display())
    }
}

/// Whether all of them are in a folder, and are the ones.
///
/// # Errors
/// What is missing, or wrong.
pub fn check(folder: &Path) -> Result<(), String> {
    files()?.iter().try_for_each(|file| read(folder, file.name).map(drop))
}

/// What tells whether something was changed in the folder since it was looked at.
pub(super) type Stamp = Vec<Option<(u64, SystemTime)>>;

pub(super) fn stamp(folder: &Path) -> Stamp {
    let stamp = |name: &str| {
        let metadata = std::fs::metadata(folder.join(name)).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    };
    [LIBRARY, DETECT, DIRECTION, RECOGNISE].map(stamp).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_cut_off_or_another_file_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert!(check(folder.path()).unwrap_err().contains("libonnxruntime.so is not there"));
        let place = folder.path().join(DETECT);
        std::fs::write(&place, b"short").unwrap();
        assert!(read(folder.path(), DETECT).unwrap_err().contains("has 5 bytes instead of 9929594"));
        std::fs::File::create(&place).unwrap().set_len(9_929_594).unwrap();
        assert!(read(folder.path(), DETECT).unwrap_err().contains("its SHA-256 is"));
        let before = stamp(folder.path());
        std::fs::remove_file(&place).unwrap();
        assert_ne!(stamp(folder.path()), before);
        std::fs::create_dir(&place).unwrap();
        assert!(read(folder.path(), DETECT).is_err());
    }
}
