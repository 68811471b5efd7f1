//! W3C Trace Context: which span of which trace something comes from.

use std::fmt;

use thiserror::Error;

use super::tracestate::TraceState;

/// A span of a distributed trace, as the headers `traceparent` and `tracestate` tell it.
///
/// ```
/// use gnsq::envelope::TraceContext;
///
/// let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let trace = TraceContext::parse(text, Some("vendor=value")).unwrap();
/// assert_eq!(trace.trace_id(), 0x0af7651916cd43dd8448eb211c80319c);
/// assert!(trace.is_sampled());
/// assert_eq!(trace.to_string(), text);
///
/// let child = trace.child();
/// assert_eq!(child.trace_id(), trace.trace_id());
/// assert_ne!(child.parent_id(), trace.parent_id());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: u128,
    parent_id: u64,
    flags: u8,
    state: TraceState,
}

/// Why something is no trace context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TraceError {
    /// A `traceparent` that W3C doesn't allow.
    #[error("a traceparent is version-trace_id-parent_id-flags in lower-case hexadecimal, and no id is 0")]
    Traceparent,
    /// A `tracestate` that W3C doesn't allow.
    #[error("a tracestate is a list of at most 32 key=value")]
    Tracestate,
    /// An id that is 0.
    #[error("neither a trace's nor a span's id is 0")]
    ZeroId,
}

impl TraceContext {
    /// A span with these ids, such as one's own; neither can be 0.
    ///
    /// # Errors
    ///
    /// When an id is 0.
    pub fn new(trace_id: u128, parent_id: u64, sampled: bool) -> Result<Self, TraceError> {
        if trace_id == 0 || parent_id == 0 {
            return Err(TraceError::ZeroId);
        }
        Ok(Self { trace_id, parent_id, flags: if sampled { SAMPLED } else { 0 }, state: TraceState::default() })
    }

    /// The first span of a new trace, with random ids.
    pub fn root(sampled: bool) -> Self {
        Self {
            trace_id: fastrand::u128(1..),
            parent_id: fastrand::u64(1..),
            flags: RANDOM | if sampled { SAMPLED } else { 0 },
            state: TraceState::default(),
        }
    }

    /// A new span of the same trace.
    pub fn child(&self) -> Self {
        Self { parent_id: fastrand::u64(1..), ..self.clone() }
    }

    /// Reads both headers, strictly by W3C's rules. A `tracestate` that breaks them is left out, as they demand.
    ///
    /// # Errors
    ///
    /// When the `traceparent` breaks them: a new trace begins then.
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Result<Self, TraceError> {
        let (known, rest) = traceparent.split_at_checked(LENGTH).ok_or(TraceError::Traceparent)?;
        let mut fields = known.split('-');
        let mut field = |length| fields.next().filter(|field| field.len() == length && field.bytes().all(is_digit));
        let (Some(version), Some(trace_id), Some(parent_id), Some(flags)) = (field(2), field(32), field(16), field(2))
        else {
            return Err(TraceError::Traceparent);
        };
        // Later versions may add something behind another dash.
        let rest_is_good = rest.is_empty() || (version != "00" && rest.starts_with('-'));
        let number = |digits| u64::from_str_radix(digits, 16).map_err(|_| TraceError::Traceparent);
        let trace_id = u128::from_str_radix(trace_id, 16).map_err(|_| TraceError::Traceparent)?;
        let (parent_id, flags) = (number(parent_id)?, number(flags)?);
        if version == "ff" || !rest_is_good || trace_id == 0 || parent_id == 0 {
            return Err(TraceError::Traceparent);
        }
        let bit = |bit: u8| if flags & u64::from(bit) == 0 { 0 } else { bit };
        Ok(Self {
            trace_id,
            parent_id,
            // Bits that aren't defined are to be set to 0, and later versions keep the first only.
            flags: bit(SAMPLED) | if version == "00" { bit(RANDOM) } else { 0 },
            state: tracestate.and_then(|text| TraceState::parse(text).ok()).unwrap_or_default(),
        })
    }

    /// The trace's id; as text it is 32 hexadecimal digits (`{:032x}`).
    pub fn trace_id(&self) -> u128 {
        self.trace_id
    }

    /// The span's id, which is the parent of those that follow from it; as text it is 16 hexadecimal digits (`{:016x}`).
    pub fn parent_id(&self) -> u64 {
        self.parent_id
    }

    /// Whether the trace is recorded.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// What tracing systems add of their own.
    pub fn state(&self) -> &TraceState {
        &self.state
    }

    /// Replaces what tracing systems add of their own.
    pub fn with_state(self, state: TraceState) -> Self {
        Self { state, ..self }
    }
}

/// The `traceparent`, in version 00.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.parent_id, self.flags)
    }
}

fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// What version 00 has, and later ones begin with.
const LENGTH: usize = 2 + 1 + 32 + 1 + 16 + 1 + 2;
/// The trace is recorded.
const SAMPLED: u8 = 1;
/// The trace's id is random.
const RANDOM: u8 = 2;
