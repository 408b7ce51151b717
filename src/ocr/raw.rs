//! Tesseract's C interface, as far as it is used here, with the rules for calling it kept.
//!
//! Unlike the wrapper that comes with the bindings it can be told to stop within a picture.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_int, c_void};
use std::ptr::NonNull;

use leptess::capi;

/// An engine of Tesseract.
#[derive(Debug)]
pub(super) struct Engine {
    handle: NonNull<capi::TessBaseAPI>,
    /// Whether a picture was read to its end: only then there is a result.
    read: bool,
}

/// How the reading of a picture ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was read.
    Read,
    /// It was stopped; the engine can be used for another picture.
    Stopped,
    /// Tesseract could not read it.
    Failed,
}

/// What a reading asks whether to stop.
struct Asking<'a> {
    over: &'a dyn Fn() -> bool,
    stopped: Cell<bool>,
}

// SAFETY: an engine has no state outside itself that belongs to a thread; it is used by one at a time, as all that changes it takes `&mut`.
unsafe impl Send for Engine {}

impl Engine {
    /// An engine that has these languages loaded, from files in a folder. None where one of them does not load.
    pub(super) fn new(folder: &CStr, languages: &CStr) -> Option<Self> {
        // SAFETY: both texts end with NUL and are copied by the call; the handle is its own from here on.
        unsafe {
            let engine = Self { handle: NonNull::new(capi::TessBaseAPICreate())?, read: false };
            let failed = capi::TessBaseAPIInit3(engine.handle.as_ptr(), folder.as_ptr(), languages.as_ptr());
            (failed == 0).then_some(engine)
        }
    }

    /// The languages that are loaded.
    pub(super) fn loaded(&self) -> Vec<String> {
        // SAFETY: a list of texts, the last of which is null, each ends with NUL; all of it is copied before it is given back.
        unsafe {
            let Some(list) = NonNull::new(capi::TessBaseAPIGetLoadedLanguagesAsVector(self.handle.as_ptr())) else { return Vec::new() };
            let texts = (0..).map(|place| *list.as_ptr().add(place)).take_while(|text| !text.is_null());
            let names = texts.map(|text| CStr::from_ptr(text).to_string_lossy().into_owned()).collect();
            capi::TessDeleteTextArray(list.as_ptr());
            names
        }
    }

    /// Gives a setting a value; says whether there is such a one.
    pub(super) fn set(&mut self, name: &CStr, value: &CStr) -> bool {
        // SAFETY: both texts end with NUL and are copied by the call.
        unsafe { capi::TessBaseAPISetVariable(self.handle.as_ptr(), name.as_ptr(), value.as_ptr()) != 0 }
    }

    /// Gives it a grey picture of a resolution, in place of the last one; says whether its size is one.
    pub(super) fn show(&mut self, pixels: &[u8], width: u32, height: u32, resolution: i32) -> bool {
        self.read = false;
        let there = u64::from(width) * u64::from(height);
        let (Ok(width), Ok(height)) = (c_int::try_from(width), c_int::try_from(height)) else { return false };
        if there == 0 || there > pixels.len() as u64 {
            return false;
        }
        // SAFETY: there are as many pixels as rows of that width need; they are copied by the call.
        unsafe {
            capi::TessBaseAPISetImage(self.handle.as_ptr(), pixels.as_ptr(), width, height, 1, width);
            capi::TessBaseAPISetSourceResolution(self.handle.as_ptr(), resolution);
        }
        true
    }

    /// Reads the picture. `over` is asked before each line and word whether to stop; not while Tesseract looks for them.
    pub(super) fn recognize(&mut self, over: &dyn Fn() -> bool) -> Ended {
        unsafe extern "C" fn ask(asking: *mut c_void, _words: c_int) -> bool {
            // SAFETY: it is the `Asking` below, which outlives the reading.
            let asking = unsafe { &*asking.cast_const().cast::<Asking<'_>>() };
            let over = (asking.over)();
            asking.stopped.set(asking.stopped.get() || over);
            over
        }
        let asking = Asking { over, stopped: Cell::new(false) };
        // SAFETY: the monitor is made and deleted here; what it points to lives until then, and is used by this thread alone.
        let failed = unsafe {
            let monitor = capi::TessMonitorCreate();
            capi::TessMonitorSetCancelFunc(monitor, Some(ask));
            capi::TessMonitorSetCancelThis(monitor, std::ptr::from_ref(&asking).cast_mut().cast());
            let failed = capi::TessBaseAPIRecognize(self.handle.as_ptr(), monitor);
            capi::TessMonitorDelete(monitor);
            failed
        };
        self.read = failed == 0;
        match failed {
            0 => Ended::Read,
            _ if asking.stopped.get() => Ended::Stopped,
            _ => Ended::Failed,
        }
    }

    /// What was read, as Tesseract's table. None where nothing was read to its end.
    pub(super) fn table(&mut self) -> Option<String> {
        // Of a picture that was not read to its end, Tesseract's tables point to nowhere.
        if !self.read {
            return None;
        }
        // SAFETY: the text is Tesseract's own, ends with NUL, and is copied before it is given back.
        unsafe {
            let text = NonNull::new(capi::TessBaseAPIGetTsvText(self.handle.as_ptr(), 0))?;
            let table = CString::from(CStr::from_ptr(text.as_ptr()));
            capi::TessDeleteText(text.as_ptr());
            Some(table.to_string_lossy().into_owned())
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // SAFETY: nobody else has the handle.
        unsafe { capi::TessBaseAPIDelete(self.handle.as_ptr()) }
    }
}
