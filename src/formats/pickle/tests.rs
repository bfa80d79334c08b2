use super::*;
use crate::formats::source::Source;

fn read(pickle: &[u8]) -> Result<(Graph, Id)> {
    let source = Source::memory("test".into(), pickle.to_vec());
    let mut graph = Graph::default();
    let root = Machine::new(&mut graph).run(&mut Input::new(&source, "the pickle", 0))?;
    Ok((graph, root))
}

fn value(pickle: &[u8]) -> Value {
    let (graph, root) = read(pickle).unwrap();
    graph.get(root).clone()
}

#[test]
fn numbers() {
    assert_eq!(value(b"K\x07."), Value::Int(7));
    assert_eq!(value(b"M\x00\x01."), Value::Int(256));
    assert_eq!(value(b"J\xff\xff\xff\xff."), Value::Int(-1));
    assert_eq!(value(b"I42\n."), Value::Int(42));
    assert_eq!(value(b"I01\n."), Value::Bool(true));
    assert_eq!(value(b"L-5L\n."), Value::Int(-5));
    assert_eq!(value(b"\x8a\x00."), Value::Int(0));
    assert_eq!(value(b"\x8a\x01\xff."), Value::Int(-1));
    assert_eq!(value(b"\x8a\x02\xff\x00."), Value::Int(255));
    assert_eq!(value(b"F1.5\n."), Value::Float(1.5));
    assert_eq!(value(b"G\x3f\xf8\0\0\0\0\0\0."), Value::Float(1.5));
    let Value::BigInt(bytes) = value(b"L119547037146038801333356L\n.") else { panic!("a long integer") };
    assert_eq!(bytes[..10], [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]);
}

#[test]
fn text_and_bytes() {
    assert_eq!(value(b"X\x02\0\0\0\xc3\xa4."), Value::Str("ä".into()));
    assert_eq!(value(b"V\\u00e4\xe4x\n."), Value::Str("ääx".into()));
    assert_eq!(value(b"S'a\\n\\x41\\''\n."), Value::Str("a\nA'".into()));
    assert_eq!(value(b"U\x02ab."), Value::Str("ab".into()));
    assert_eq!(value(b"U\x02\xff\xfe."), Value::Bytes((*b"\xff\xfe").into()));
    assert_eq!(value(b"C\x02ab."), Value::Bytes((*b"ab").into()));
    let encoded = b"c_codecs\nencode\nX\x03\0\0\0a\xc3\xbfX\x06\0\0\0latin1\x86R.";
    assert_eq!(value(encoded), Value::Bytes((*b"a\xff").into()));
}

#[test]
fn containers_and_memo() {
    let (graph, root) = read(b"\x80\x02}q\0(X\x01\0\0\0aK\x01X\x01\0\0\0b]q\x01(K\x02h\x01eu.").unwrap();
    let dict = graph.dict(root).unwrap();
    assert_eq!(graph.get(graph.entry(dict, "a").unwrap()), &Value::Int(1));
    let list = graph.entry(dict, "b").unwrap();
    let Value::List(items) = graph.get(list) else { panic!("a list") };
    assert_eq!(items[1], list, "a list may contain itself");
}

#[test]
fn an_ordered_dict_keeps_its_metadata() {
    let pickle = b"ccollections\nOrderedDict\n)RX\x01\0\0\0aK\x01s}X\x09\0\0\0_metadataK\x02sb.";
    let (graph, root) = read(pickle).unwrap();
    let dict = graph.dict(root).unwrap();
    assert_eq!(dict.items.len(), 1);
    let attributes = graph.dict(dict.attributes.unwrap()).unwrap();
    assert_eq!(graph.get(graph.entry(attributes, "_metadata").unwrap()), &Value::Int(2));
}

#[test]
fn calls_of_unknown_functions_are_opaque() {
    let (graph, root) = read(b"cargparse\nNamespace\n)\x81}X\x02\0\0\0lrK\x01sb.").unwrap();
    assert_eq!(graph.refused(root), Some("argparse.Namespace"));
    // An unknown subclass of list or dict: its items are discarded.
    assert_eq!(read(b"cmylib\nL\n)RK\x01a.").map(|(g, r)| g.refused(r).is_some()).ok(), Some(true));
    // The result of calling an opaque object is opaque too.
    assert_eq!(read(b"cmylib\nf\n)R)R.").map(|(g, r)| g.refused(r).is_some()).ok(), Some(true));
}

#[test]
fn what_would_run_is_refused_in_every_way_of_writing_it() {
    for pickle in [
        &b"cos\nsystem\n(S'id'\ntR."[..],
        b"(S'id'\nios\nsystem\n.",
        b"(cos\nsystem\nS'id'\no.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R.",
        b"\x80\x02cos\nsystem\nX\x02\0\0\0id\x85\x81.",
        b"\x80\x02cos\nsystem\n.",
    ] {
        match read(pickle) {
            Err(Error::RefusedGlobal { global, .. }) => assert_eq!(global, "os.system"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_stack_is_not_reached_below_a_mark() {
    for pickle in [&b"K\x01(\x85."[..], b"K\x01(a.", b"K\x01(R.", b"t.", b".", b"0.", b"(.", b"s.", b"b."] {
        assert!(matches!(read(pickle), Err(Error::DamagedFile { .. })), "{pickle:?}");
    }
}

#[test]
fn several_pickles_in_a_row_have_a_memo_each() {
    let source = Source::memory("test".into(), b"\x80\x02]q\0.\x80\x02h\0.".to_vec());
    let mut graph = Graph::default();
    let mut machine = Machine::new(&mut graph);
    let mut input = Input::new(&source, "the pickle", 0);
    machine.run(&mut input).unwrap();
    assert_eq!(input.position(), 6);
    assert!(machine.run(&mut input).is_err());
}

#[test]
fn an_unknown_object_keeps_its_state_and_is_nothing_else() {
    // mylib.Thing(), with {"w": 1}; then the same with __slots__, and by copyreg._reconstructor.
    for pickle in [
        &b"\x80\x02cmylib\nThing\n)\x81}X\x01\0\0\0wK\x01sb."[..],
        b"\x80\x02cmylib\nThing\n)\x81}X\x01\0\0\0wK\x01sN\x86b.",
        b"ccopyreg\n_reconstructor\n(cmylib\nThing\ncbuiltins\nobject\nNtR}X\x01\0\0\0wK\x01sb.",
    ] {
        let (graph, root) = read(pickle).unwrap();
        assert_eq!(graph.refused(root), Some("mylib.Thing"));
        assert!(graph.dict(root).is_none());
        let state = graph.dict(graph.state(root).unwrap()).unwrap();
        assert_eq!(graph.get(graph.entry(state, "w").unwrap()), &Value::Int(1));
    }
    let (graph, root) = read(b"\x80\x02cmylib\nThing\n)\x81K\x01b.").unwrap();
    assert_eq!(graph.state(root), None, "a state that is no dict");
}
