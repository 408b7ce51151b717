//! A film as a file: MP4 in fragments of a few seconds. Whatever ends the server, the file can be played up to the last one that is
//! whole, and says how long that is.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use shiguredo_mp4::boxes::{Avc1Box, AvccBox, SampleEntry, VisualSampleEntryFields};
use shiguredo_mp4::mux::{Fmp4SegmentMuxer, Sample, SegmentMuxerOptions};
use shiguredo_mp4::{TrackKind, Uint};

use crate::screen::VideoFrame;

/// Units of time in a second.
const TIMESCALE: NonZeroU32 = NonZeroU32::MIN.saturating_add(999);
/// Where the beginning of a film says how long it is, in milliseconds: so many bytes behind these names, a version and flags.
const LENGTHS: [(&[u8; 8], usize); 2] = [(b"mvhd\0\0\0\0", 12), (b"mehd\0\0\0\0", 0)];

/// A film that is being written.
pub(super) struct Film {
    file: File,
    muxer: Fmp4SegmentMuxer,
    size: (u32, u32),
    /// What a player must know of all pictures, until the first fragment is written.
    entry: Option<SampleEntry>,
    /// The last picture: how long it is shown is not known yet.
    last: Option<(VideoFrame, Duration)>,
    /// Pictures of the fragment that is being made.
    samples: Vec<Sample>,
    payload: Vec<u8>,
    /// The file's beginning, once it is written.
    head: Option<Vec<u8>>,
    /// How much of it is written, in milliseconds.
    written: u64,
    bytes: u64,
    frames: u64,
}

fn broken(error: impl std::fmt::Debug) -> io::Error {
    io::Error::other(format!("the film cannot be written down: {error:?}"))
}

impl Film {
    /// Begins a film of this size.
    pub(super) fn create(path: &Path, size: (u32, u32), begun: Duration) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        let options = SegmentMuxerOptions { creation_timestamp: begun, ..SegmentMuxerOptions::default() };
        let muxer = Fmp4SegmentMuxer::with_options(options).map_err(broken)?;
        let (samples, payload) = (Vec::new(), Vec::new());
        Ok(Self { file, muxer, size, entry: None, last: None, samples, payload, head: None, written: 0, bytes: 0, frames: 0 })
    }

    /// Bytes written so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Pictures so far.
    pub(super) fn frames(&self) -> u64 {
        self.frames
    }

    /// Adds a picture that is shown from a moment on, counted from the film's beginning; the one before ends with that.
    pub(super) fn add(&mut self, frame: VideoFrame, at: Duration) {
        self.close(at);
        if self.entry.is_none() && self.head.is_none() {
            self.entry = entry(&frame, self.size);
        }
        self.frames += 1;
        self.last = Some((frame, at));
    }

    /// The last picture is shown until that moment.
    fn close(&mut self, until: Duration) {
        let Some((frame, at)) = self.last.take() else { return };
        let duration = u32::try_from(until.saturating_sub(at).as_millis()).unwrap_or(u32::MAX);
        self.samples.push(Sample {
            track_kind: TrackKind::Video,
            timescale: TIMESCALE,
            sample_entry: self.entry.take(),
            duration,
            keyframe: frame.is_key,
            composition_time_offset: None,
            data_offset: self.payload.len() as u64,
            data_size: frame.bytes.len(),
        });
        self.payload.extend_from_slice(&frame.bytes);
    }

    /// Writes the pictures so far, but for the last one.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.samples.is_empty() {
            return Ok(());
        }
        let fragment = self.muxer.create_media_segment_metadata(&self.samples).map_err(broken)?;
        let mut whole = Vec::new();
        if self.head.is_none() {
            let head = self.muxer.init_segment_bytes().map_err(broken)?;
            whole.extend_from_slice(&head);
            self.head = Some(head);
        }
        whole.extend_from_slice(&fragment);
        whole.append(&mut self.payload);
        self.written += self.samples.drain(..).map(|sample| u64::from(sample.duration)).sum::<u64>();
        if let Err(error) = self.file.write_all(&whole) {
            // A disk that is full has taken a part of it.
            self.file.set_len(self.bytes)?;
            return Err(error);
        }
        self.bytes += whole.len() as u64;
        self.say_length()
    }

    /// Says in the file's beginning how long it is.
    fn say_length(&mut self) -> io::Result<()> {
        let (Some(head), Ok(millis)) = (&self.head, u32::try_from(self.written)) else { return Ok(()) };
        for (name, behind) in LENGTHS {
            if let Some(place) = head.windows(name.len()).position(|bytes| bytes == name) {
                self.file.seek(SeekFrom::Start((place + name.len() + behind) as u64))?;
                self.file.write_all(&millis.to_be_bytes())?;
            }
        }
        self.file.seek(SeekFrom::Start(self.bytes))?;
        Ok(())
    }

    /// Ends the film at that moment.
    pub(super) fn finish(mut self, at: Duration) -> io::Result<()> {
        self.close(at);
        self.flush()?;
        self.file.sync_all()
    }
}

/// Opens a film's file to be read; gives how many bytes of it are whole fragments as well. One that is being written is not among them:
/// players take half a picture for a broken film.
pub(super) fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = File::open(path)?;
    let whole = whole(&file)?;
    Ok((file, whole))
}

/// Takes off the fragment that a dead server left half written; gives how many bytes remain.
pub(super) fn mend(path: &Path) -> io::Result<u64> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let whole = whole(&file)?;
    file.set_len(whole)?;
    Ok(whole)
}

fn whole(mut file: &File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let (mut at, mut whole) = (0, 0);
    while length - at >= 8 {
        let mut head = [0; 8];
        file.read_exact(&mut head)?;
        let [a, b, c, d, name @ ..] = head;
        let size = u64::from(u32::from_be_bytes([a, b, c, d]));
        if size < 8 || size > length - at {
            break;
        }
        at = file.seek(SeekFrom::Start(at + size))?;
        // A fragment is a description and, behind it, its pictures.
        if &name == b"mdat" {
            whole = at;
        }
    }
    Ok(whole)
}

/// What a player must know of all pictures.
fn entry(frame: &VideoFrame, (width, height): (u32, u32)) -> Option<SampleEntry> {
    let (parameters, picture_parameters) = (frame.parameters.clone()?, frame.picture_parameters.clone()?);
    let [_, profile, compatibility, level] = *parameters.first_chunk::<4>()?;
    // All but the oldest profiles say how colours are told.
    let says_colours = !matches!(profile, 66 | 77 | 88);
    Some(SampleEntry::Avc1(Avc1Box {
        visual: VisualSampleEntryFields {
            data_reference_index: VisualSampleEntryFields::DEFAULT_DATA_REFERENCE_INDEX,
            width: u16::try_from(width).ok()?,
            height: u16::try_from(height).ok()?,
            horizresolution: VisualSampleEntryFields::DEFAULT_HORIZRESOLUTION,
            vertresolution: VisualSampleEntryFields::DEFAULT_VERTRESOLUTION,
            frame_count: VisualSampleEntryFields::DEFAULT_FRAME_COUNT,
            compressorname: VisualSampleEntryFields::NULL_COMPRESSORNAME,
            depth: VisualSampleEntryFields::DEFAULT_DEPTH,
        },
        avcc_box: AvccBox {
            avc_profile_indication: profile,
            profile_compatibility: compatibility,
            avc_level_indication: level,
            length_size_minus_one: Uint::new(3),
            sps_list: vec![parameters],
            pps_list: vec![picture_parameters],
            chroma_format: says_colours.then(|| Uint::new(1)),
            bit_depth_luma_minus8: says_colours.then(|| Uint::new(0)),
            bit_depth_chroma_minus8: says_colours.then(|| Uint::new(0)),
            sps_ext_list: Vec::new(),
        },
        unknown_boxes: Vec::new(),
    }))
}
