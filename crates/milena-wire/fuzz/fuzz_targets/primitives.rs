//! Reads varints, strings, arrays and tags from any bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use milena_wire::{Decode, Records, Uuid, Version, Writer, tags, uvarint, varint, varlong};

fn read<'a, T: Decode<'a>>(input: &'a [u8]) {
    for version in [Version::new(0, false), Version::new(1, true)] {
        if let Ok((rest, _)) = T::decode(input, version) {
            assert!(input.ends_with(rest));
        }
    }
}

fuzz_target!(|input: &[u8]| {
    read::<&str>(input);
    read::<Option<&str>>(input);
    read::<&[u8]>(input);
    read::<Option<&[u8]>>(input);
    read::<Records<'_>>(input);
    read::<Vec<i8>>(input);
    read::<Vec<bool>>(input);
    read::<Option<Vec<Uuid>>>(input);
    read::<Vec<Vec<Vec<&str>>>>(input);
    read::<f64>(input);
    let _ = tags(input, Version::new(1, true), |_, _| Ok(()));
    let mut out = Writer::new();
    if let Ok((_, value)) = uvarint(input) {
        out.uvarint(value);
        assert_eq!(uvarint(out.own()), Ok((&[][..], value)));
    }
    if let Ok((_, value)) = varint(input) {
        out.clear();
        out.varint(value);
        assert_eq!(varint(out.own()), Ok((&[][..], value)));
    }
    if let Ok((_, value)) = varlong(input) {
        out.clear();
        out.varlong(value);
        assert_eq!(varlong(out.own()), Ok((&[][..], value)));
    }
});
