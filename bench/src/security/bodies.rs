//! What is published: text as programs write it, which can be compressed as such text can.

use std::fmt::Write;

use bytes::Bytes;

#[derive(Debug, Clone, Copy)]
pub(super) enum Body {
    Small,
    Large,
}

impl Body {
    pub(super) const ALL: [Self; 2] = [Self::Small, Self::Large];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Small => "200 bytes",
            Self::Large => "10 KiB",
        }
    }

    /// How many a run has: a few seconds' worth.
    pub(super) fn messages(self) -> usize {
        match self {
            Self::Small => 200_000,
            Self::Large => 20_000,
        }
    }

    /// Alike and not the same; more than a compression looks back, so that it finds none of them again.
    pub(super) fn bodies(self) -> Vec<Bytes> {
        let (len, count) = match self {
            Self::Small => (crate::BODY, 5000),
            Self::Large => (10 * 1024, 100),
        };
        let mut random = 1_u64;
        let mut number = move || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            random >> 40
        };
        let body = |_| {
            let mut text = String::new();
            while text.len() < len {
                let (order, customer, cents) = (number(), number() % 10_000, number() % 100_000);
                write!(
                    text,
                    r#"{{"order":{order},"customer":"customer-{customer}","cents":{cents},"status":"paid"}},"#
                )
                .expect("a string takes any text");
            }
            text.truncate(len);
            Bytes::from(text)
        };
        (0..count).map(body).collect()
    }
}
