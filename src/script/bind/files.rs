//! `files::` — files. Relative paths lie in the data folder's `files/`; elsewhere only where the manifest says so.

use rhai::Map;
use rhai::plugin::*;

use crate::files::WriteOptions;
use crate::host::protocol::Call;
use crate::script::steps::{call, call_with};
use crate::script::values::Returned;

pub(super) fn module() -> Module {
    rhai::exported_module!(functions)
}

#[export_module]
mod functions {
    /// The text of a file, up to 10 MiB.
    ///
    /// Raises `NOT_FOUND` where there is none. Needs `read = ["…"]`.
    ///
    /// ```rhai
    /// files::write("reference/a.txt", "one");
    /// assert(files::read("reference/a.txt") == "one");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn read(context: NativeCallContext, path: &str) -> Returned<Dynamic> {
        call(&context, Call::FileRead { path: path.to_owned() })
    }

    /// Replaces a file as a whole, and creates the folders on the way; gives `path` and `bytes`.
    ///
    /// Needs `write = ["…"]`.
    ///
    /// ```rhai
    /// assert(files::write("reference/b.txt", "two").bytes == 3);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn write(context: NativeCallContext, path: &str, content: &str) -> Returned<Dynamic> {
        super::put(&context, path, content, false)
    }

    /// Writes as described: `path`, `content`, `append` (false), `create_directories` (true).
    ///
    /// Needs `write = ["…"]`.
    ///
    /// ```rhai
    /// files::write(#{ path: "reference/c.txt", content: "three", create_directories: true });
    /// ```
    #[rhai_fn(name = "write", return_raw)]
    pub fn write_as(context: NativeCallContext, options: Map) -> Returned<Dynamic> {
        call_with(&context, options, |writing: super::Writing| Call::FileWrite {
            path: writing.path,
            content: writing.content,
            options: WriteOptions { append: writing.append, create_directories: writing.create_directories },
        })
    }

    /// Adds to the end of a file.
    ///
    /// Needs `write = ["…"]`.
    ///
    /// ```rhai
    /// files::write("reference/d.txt", "x");
    /// files::append("reference/d.txt", "y");
    /// assert(files::read("reference/d.txt") == "xy");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn append(context: NativeCallContext, path: &str, content: &str) -> Returned<Dynamic> {
        super::put(&context, path, content, true)
    }

    /// What is in a folder: a list of maps with `name`, `is_directory`, `size`.
    ///
    /// Needs `read = ["…"]`.
    ///
    /// ```rhai
    /// files::write("reference/list/e.txt", "x");
    /// assert(files::list("reference/list")[0].name == "e.txt");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn list(context: NativeCallContext, path: &str) -> Returned<Dynamic> {
        call(&context, Call::FileList { path: path.to_owned() })
    }

    /// Whether there is such a file or folder.
    ///
    /// Needs `read = ["…"]`.
    ///
    /// ```rhai
    /// assert(!files::exists("reference/nothing.txt"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn exists(context: NativeCallContext, path: &str) -> Returned<Dynamic> {
        call(&context, Call::FileExists { path: path.to_owned() })
    }

    /// Removes a file or an empty folder.
    ///
    /// Raises `NOT_FOUND` where there is none. Needs `write = ["…"]`.
    ///
    /// ```rhai
    /// files::write("reference/f.txt", "x");
    /// files::remove("reference/f.txt");
    /// assert(!files::exists("reference/f.txt"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn remove(context: NativeCallContext, path: &str) -> Returned<Dynamic> {
        call(&context, Call::FileRemove { path: path.to_owned() })
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Writing {
    path: String,
    content: String,
    #[serde(default)]
    append: bool,
    #[serde(default = "yes")]
    create_directories: bool,
}

fn yes() -> bool {
    true
}

fn put(context: &NativeCallContext, path: &str, content: &str, append: bool) -> Returned<Dynamic> {
    let options = WriteOptions { append, ..WriteOptions::default() };
    call(context, Call::FileWrite { path: path.to_owned(), content: content.to_owned(), options })
}
