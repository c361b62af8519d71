//! Enums whose values are written by name.

/// Declares an enum whose values have names in the database and on the wire. The text says what such a value is, for the
/// sentence about one that is unknown.
macro_rules! named {
    ($(#[$documentation:meta])* $type:ident, $what:literal: $($(#[$meaning:meta])* $value:ident = $name:literal,)*) => {
        $(#[$documentation])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $type {
            $($(#[$meaning])* $value,)*
        }

        impl $type {
            /// Every value there is.
            pub const ALL: &[Self] = &[$(Self::$value,)*];

            /// The name in the database and on the wire.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$value => $name,)*
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::domain::Invalid;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|value| value.name() == text).ok_or_else(|| {
                    let names: Vec<_> = Self::ALL.iter().map(|value| value.name()).collect();
                    $crate::domain::Invalid::new(format!("unknown {} \"{text}\": use {}", $what, names.join(", ")))
                })
            }
        }
    };
}

pub(super) use named;
