//! The list parser, with any split of the input, and with malformed input.

use proptest::prelude::*;

use super::{
    super::Status,
    list::{ListParser, MAGIC, Meta},
    wire::{Fields, Malformed, Value, write::*},
};

/// A list as a server sends it.
fn list(kind: &str, meta: &Meta, items: &[Vec<u8>]) -> Vec<u8> {
    let meta = message(1, &[text(2, &meta.resource_version), text(3, &meta.next), number(4, 7)]);
    let items: Vec<Vec<u8>> = items.iter().map(|item| bytes(2, item)).collect();
    let raw = [vec![meta], items, vec![bytes(9, b"from a newer server"), number(10, 300)]].concat();
    let types = message(1, &[text(1, "v1"), text(2, kind)]);
    [MAGIC.to_vec(), types, message(2, &raw), text(3, ""), text(4, "")].concat()
}

fn cut(data: &[u8], pieces: &[usize]) -> Result<(Vec<Vec<u8>>, String, Meta), Malformed> {
    let mut parser = ListParser::default();
    let mut items = Vec::new();
    let mut keep = |item: &[u8]| {
        items.push(item.to_vec());
        Ok(())
    };
    let mut rest = data;
    for piece in pieces {
        let (now, later) = rest.split_at((*piece).min(rest.len()));
        parser.take(now, &mut keep)?;
        rest = later;
    }
    parser.take(rest, &mut keep)?;
    let (kind, meta) = parser.end()?;
    Ok((items, kind, meta))
}

fn meta() -> Meta {
    Meta { resource_version: "42".to_owned(), next: "token".to_owned() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn however_it_arrives_it_is_the_same(
        items in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6),
        pieces in proptest::collection::vec(0_usize..30, 0..20),
    ) {
        let data = list("PodList", &meta(), &items);
        let (found, kind, found_meta) = cut(&data, &pieces).expect("a list");
        prop_assert_eq!(found, items);
        prop_assert_eq!(kind, "PodList");
        prop_assert_eq!(found_meta, meta());
    }

    /// An answer that ends early must not pass for a shorter list.
    #[test]
    fn what_is_cut_short_is_no_list(
        items in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6),
        end in any::<proptest::sample::Index>(),
    ) {
        let data = list("PodList", &meta(), &items);
        // The two empty fields of the envelope's end may be missing.
        let end = end.index(data.len() - 4);
        prop_assert!(cut(&data[..end], &[]).is_err());
    }

    #[test]
    fn nothing_makes_it_panic(
        data in proptest::collection::vec(any::<u8>(), 0..200),
        magic in any::<bool>(),
        pieces in proptest::collection::vec(0_usize..30, 0..8),
    ) {
        let data = if magic { [MAGIC, &data[..]].concat() } else { data };
        let _ = cut(&data, &pieces);
        let _ = Status::of_server(&data);
        for field in Fields(&data) {
            let Ok((_, value)) = field else { break };
            let _ = (value.text(), value.number(), value.signed(), value.fields());
        }
    }

    /// One byte of a list that is another: a list or an error, no panic.
    #[test]
    fn a_byte_that_is_wrong_is_survived(
        items in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..4),
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut data = list("PodList", &meta(), &items);
        let at = at.index(data.len());
        data[at] = byte;
        let _ = cut(&data, &[at]);
    }
}

#[test]
fn numbers_are_read_as_they_are_written() {
    for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
        let data = number(3, value);
        assert_eq!(Fields(&data).next(), Some(Ok((3, Value::Number(value)))));
    }
    let minus = number(1, (-5_i64).cast_unsigned());
    assert_eq!(Fields(&minus).next().unwrap().unwrap().1.signed(), Ok(-5));
    for wrong in [&[0x80_u8][..], &[0xff; 11], &[0x08], &[0x0b, 0x00], &[0x00, 0x00], &[0x12, 5, 1]]
    {
        assert!(Fields(wrong).next().unwrap().is_err(), "{wrong:?}");
    }
}

#[test]
fn a_list_of_nothing_is_a_list() {
    let (items, kind, _) = cut(&list("JobList", &Meta::default(), &[]), &[]).expect("a list");
    assert_eq!((items.len(), kind.as_str()), (0, "JobList"));
    assert!(cut(MAGIC, &[]).is_err());
    // Not even the list's own metadata has come.
    let types = message(1, &[text(1, "v1"), text(2, "PodList")]);
    assert!(cut(&[MAGIC, &types].concat(), &[]).is_err());
    assert!(cut(b"", &[]).is_err());
    assert!(cut(b"<html>", &[]).is_err());
}

#[test]
fn an_item_larger_than_any_is_refused_before_it_is_kept() {
    let huge = [bytes(1, &text(2, "PodList")), varint(2 << 3 | 2), varint(1 << 40)].concat();
    let item = [varint(2 << 3 | 2), varint(1 << 30)].concat();
    assert!(cut(&[MAGIC, &huge, &item].concat(), &[]).is_err());
}
