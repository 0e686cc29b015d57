//! Declares messages: a struct with a gutter of versions, and from it both directions.

/// Declares structs of the protocol, in wire order.
///
/// Each field reads `versions => name: type`, where the versions are a pattern over the
/// version's number: `0..` is every version, `0..=12` those up to 12. After the type may come
///
/// - `= value`: the default. It stands for the field in versions that lack it. Without one it is
///   0, false, empty or zero, as the type has it. Kafka's default of a nullable string or array is
///   *empty*, so where null is the default this is written: `= None`, and where it is not
///   `= Some("")`.
/// - `; ignorable`: the field may be dropped silently when a version lacks it. Others
///   must then have their default, or writing fails with [`Unsupported`](crate::Unsupported).
/// - `; nullable(8..)`: an [`Option`] that may be `None` in these versions only.
///
/// Fields in the `tagged` block are `tag @ versions => name: type`; they are left out when they
/// have their default.
///
/// ```
/// use milena_wire::{Decode, Encode, Version, Writer, message};
///
/// message! {
///     /// Asks for the weather.
///     pub struct WeatherRequest<'a> {
///         /// Where.
///         0.. => place: &'a str,
///         /// The days to look ahead.
///         2.. => days: i32 = 1; ignorable,
///         /// Which values, or all.
///         0.. => values: Option<Vec<i8>> = None; nullable(1..),
///     } tagged {
///         /// The language of the answer.
///         0 @ 3.. => language: Option<&'a str> = None,
///     }
/// }
///
/// let version = Version::new(3, true);
/// let request = WeatherRequest { place: "Köln", days: 3, ..Default::default() };
/// let mut out = Writer::new();
/// request.encode(&mut out, version)?;
/// assert_eq!(WeatherRequest::decode(out.own(), version), Ok((&[][..], request)));
/// # Ok::<(), milena_wire::Unsupported>(())
/// ```
///
/// It becomes a plain struct with public fields, [`Default`], [`Encode`](crate::Encode),
/// [`Decode`](crate::Decode) and a constant `SCHEMA` that says what was declared.
#[macro_export]
macro_rules! message {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident $(<$life:lifetime>)? {
            $(
                $(#[$field_meta:meta])*
                $versions:pat => $field:ident : $ty:ty $(= $default:expr)?
                    $(; $mark:ident $(($nullable:pat))?)*
            ),* $(,)?
        }
        $(tagged {
            $(
                $(#[$tag_meta:meta])*
                $tag:literal @ $tag_versions:pat => $tag_field:ident : $tag_ty:ty
                    $(= $tag_default:expr)? $(; $tag_mark:ident)*
            ),* $(,)?
        })?
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name $(<$life>)? {
            $(
                $(#[$field_meta])*
                #[doc = concat!("\n\n*Versions `", stringify!($versions), "`.*")]
                pub $field: $ty,
            )*
            $($(
                $(#[$tag_meta])*
                #[doc = concat!("\n\n*Versions `", stringify!($tag_versions), "`, tag ",
                    stringify!($tag), ".*")]
                pub $tag_field: $tag_ty,
            )*)?
        }

        impl $(<$life>)? $name $(<$life>)? {
            /// What was declared.
            pub const SCHEMA: $crate::Schema = $crate::Schema {
                name: stringify!($name),
                fields: &[
                    $($crate::Field {
                        name: stringify!($field),
                        ty: <$ty as $crate::Typed>::TYPE,
                        tag: None,
                        ignorable: $crate::ignorable!($($mark)*),
                        present: |version| matches!(version, $versions),
                        nullable: |version| {
                            matches!(version, $versions)
                                && matches!(<$ty as $crate::Typed>::TYPE, $crate::Type::Nullable(_))
                                $($(&& matches!(version, $nullable))?)*
                        },
                        default: || {
                            let default: $ty = $crate::or_default!($($default)?);
                            format!("{default:?}")
                        },
                    },)*
                    $($($crate::Field {
                        name: stringify!($tag_field),
                        ty: <$tag_ty as $crate::Typed>::TYPE,
                        tag: Some($tag),
                        ignorable: $crate::ignorable!($($tag_mark)*),
                        present: |version| matches!(version, $tag_versions),
                        nullable: |version| {
                            matches!(version, $tag_versions) && matches!(
                                <$tag_ty as $crate::Typed>::TYPE,
                                $crate::Type::Nullable(_)
                            )
                        },
                        default: || {
                            let default: $tag_ty = $crate::or_default!($($tag_default)?);
                            format!("{default:?}")
                        },
                    },)*)?
                ],
            };
        }

        impl $(<$life>)? Default for $name $(<$life>)? {
            #[inline]
            fn default() -> Self {
                Self {
                    $($field: $crate::or_default!($($default)?),)*
                    $($($tag_field: $crate::or_default!($($tag_default)?),)*)?
                }
            }
        }

        impl $(<$life>)? $crate::Typed for $name $(<$life>)? {
            const TYPE: $crate::Type = $crate::Type::Struct(&Self::SCHEMA);

            #[inline]
            fn min_size(version: $crate::Version) -> usize {
                usize::from(version.flexible)
                    $(+ if matches!(version.number, $versions) {
                        <$ty as $crate::Typed>::min_size(version)
                    } else {
                        0
                    })*
            }
        }

        impl $(<$life>)? $crate::Message for $name $(<$life>)? {}

        impl $(<$life>)? $crate::Encode for $name $(<$life>)? {
            // Inlined in both directions, so that a program compiles only those messages that it uses.
            #[inline]
            fn encode(
                &self,
                out: &mut $crate::Writer,
                version: $crate::Version,
            ) -> Result<(), $crate::Unsupported> {
                $(
                    $($(if !matches!(version.number, $nullable) && self.$field.is_none()
                        && matches!(version.number, $versions)
                    {
                        return Err($crate::Unsupported::new($crate::Unsayable::Null, version.number)
                            .within(stringify!($name), stringify!($field)));
                    })?)*
                    if matches!(version.number, $versions) {
                        if let Err(error) = $crate::Encode::encode(&self.$field, out, version) {
                            return Err(error.within(stringify!($name), stringify!($field)));
                        }
                    } else if !$crate::ignorable!($($mark)*) {
                        let default: $ty = $crate::or_default!($($default)?);
                        if self.$field != default {
                            return Err($crate::Unsupported::new(
                                $crate::Unsayable::Absent,
                                version.number,
                            ).within(stringify!($name), stringify!($field)));
                        }
                    }
                )*
                #[allow(unused_mut, unused_variables, reason = "some structs have no tagged fields")]
                let mut tags = out.tags(version);
                $($(
                    let default: $tag_ty = $crate::or_default!($($tag_default)?);
                    if self.$tag_field != default {
                        if matches!(version.number, $tag_versions) {
                            if let Err(error) = tags.put($tag, &self.$tag_field) {
                                return Err(error.within(stringify!($name), stringify!($tag_field)));
                            }
                        } else if !$crate::ignorable!($($tag_mark)*) {
                            return Err($crate::Unsupported::new(
                                $crate::Unsayable::Absent,
                                version.number,
                            ).within(stringify!($name), stringify!($tag_field)));
                        }
                    }
                )*)?
                Ok(())
            }
        }

        $crate::decode! {
            ($($life)?) $name
            [$($versions => $field: $ty = $crate::or_default!($($default)?),
                [$($($nullable)?)*];)*]
            [$($($tag @ $tag_versions => $tag_field: $crate::or_default!($($tag_default)?);)*)?]
        }
    )*};
}

/// The default that was written, or that of the type.
#[doc(hidden)]
#[macro_export]
macro_rules! or_default {
    () => {
        Default::default()
    };
    ($default:expr) => {
        $default
    };
}

/// Whether `ignorable` is among a field's marks; unknown marks do not compile.
#[doc(hidden)]
#[macro_export]
macro_rules! ignorable {
    () => {
        false
    };
    (ignorable) => {
        true
    };
    (nullable) => {
        false
    };
    (ignorable nullable) => {
        true
    };
}

/// Reading. A struct without a lifetime still reads from a borrowed frame, so its impl needs one.
#[doc(hidden)]
#[macro_export]
macro_rules! decode {
    (() $name:ident $fields:tt $tags:tt) => {
        $crate::decode! { @imp ('a) $name ($name) $fields $tags }
    };
    (($life:lifetime) $name:ident $fields:tt $tags:tt) => {
        $crate::decode! { @imp ($life) $name ($name<$life>) $fields $tags }
    };
    (@imp ($life:lifetime) $name:ident ($self:ty)
        [$($versions:pat => $field:ident : $ty:ty = $default:expr, [$($nullable:pat)?];)*]
        [$($tag:literal @ $tag_versions:pat => $tag_field:ident : $tag_default:expr;)*]
    ) => {
        impl<$life> $crate::Decode<$life> for $self {
            #[inline]
            fn decode(
                input: &$life [u8],
                version: $crate::Version,
            ) -> $crate::Parsed<$life, Self> {
                $(let (input, $field) = if matches!(version.number, $versions) {
                    match <$ty as $crate::Decode<$life>>::decode(input, version) {
                        $(Ok((_, None)) if !matches!(version.number, $nullable) => {
                            return Err($crate::null(input, stringify!($name), stringify!($field)));
                        })?
                        Ok(parsed) => parsed,
                        Err(error) => {
                            return Err($crate::place(error, stringify!($name), stringify!($field)));
                        }
                    }
                } else {
                    (input, $default)
                };)*
                $(let mut $tag_field = $tag_default;)*
                #[allow(clippy::match_single_binding, reason = "some structs have no tagged fields")]
                let parsed = $crate::tags(input, version, |tag, _body| match tag {
                    $($tag if matches!(version.number, $tag_versions) => {
                        $tag_field = $crate::whole(_body, version).map_err(|error| {
                            $crate::place(error, stringify!($name), stringify!($tag_field))
                        })?;
                        Ok(())
                    })*
                    _ => Ok(()),
                });
                match parsed {
                    Ok((input, ())) => Ok((input, Self { $($field,)* $($tag_field,)* })),
                    Err(error) => Err($crate::place(error, stringify!($name), "tags")),
                }
            }
        }
    };
}
