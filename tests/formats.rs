//! Weight files made by torch, damaged in many ways: the result is data or an error, never a panic.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use rvision::formats::{Checkpoint, Dtype, Format, TensorData, TensorSpec, Value, write_safetensors};

fn data(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file)
}

/// Performs every operation on a file.
fn read_all(bytes: Vec<u8>) -> rvision::Result<usize> {
    let checkpoint = Checkpoint::from_bytes("damaged", bytes)?;
    let found = checkpoint.state_dict(None)?;
    let specs: Vec<(&str, &TensorSpec)> = found
        .entries
        .iter()
        .filter_map(|(name, id)| match checkpoint.graph().get(*id) {
            Value::Tensor(spec) => Some((name.as_str(), &**spec)),
            _ => None,
        })
        .collect();
    let tensors = checkpoint.read(&specs)?;
    for (i, tensor) in tensors.tensors.iter().enumerate() {
        assert_eq!(tensors.bytes(i).len(), tensor.shape.iter().product::<usize>() * tensor.dtype.size());
    }
    Ok(tensors.tensors.len())
}

fn f32s(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|&chunk| f32::from_le_bytes(chunk)).collect()
}

fn read_one(file: &str, name: &str) -> (Vec<usize>, Vec<f32>) {
    let checkpoint = Checkpoint::open(data(file)).unwrap();
    let found = checkpoint.state_dict(None).unwrap();
    let (_, id) = found.entries.iter().find(|(key, _)| key == name).unwrap();
    let Value::Tensor(spec) = checkpoint.graph().get(*id) else { panic!("{name} is no tensor") };
    let tensors = checkpoint.read(&[(name, spec)]).unwrap();
    assert_eq!(tensors.tensors[0].dtype, Dtype::F32);
    (tensors.tensors[0].shape.clone(), f32s(tensors.bytes(0)))
}

/// The numbers that `make_files.py` writes.
fn number(i: usize) -> f32 {
    i as f32 * 0.37 - 1.5
}

#[test]
fn formats_are_told_by_content() {
    for (file, format, tensors) in [
        ("net.pth", Format::Zip, 9),
        ("net_legacy.pth", Format::Legacy, 9),
        ("net_protocol5.pth", Format::Zip, 9),
        ("types.safetensors", Format::Safetensors, 10),
    ] {
        assert_eq!(Checkpoint::open(data(file)).unwrap().format(), format);
        assert_eq!(read_all(fs::read(data(file)).unwrap()).unwrap(), tensors, "{file}");
    }
}

#[test]
fn views_are_laid_out_row_major() {
    for file in ["views.pth", "views_legacy.pth"] {
        let (shape, values) = read_one(file, "transposed");
        assert_eq!(shape, [6, 4]);
        assert_eq!(values[..3], [number(0), number(6), number(12)]);
        let (shape, values) = read_one(file, "rows");
        assert_eq!(shape, [2, 6]);
        assert_eq!(values, (6..18).map(number).collect::<Vec<_>>());
        let (shape, values) = read_one(file, "expanded");
        assert_eq!(shape, [5, 3]);
        assert_eq!(values[12..], [number(0), number(1), number(2)]);
        let (shape, values) = read_one(file, "channels_last");
        assert_eq!(shape, [2, 3, 4, 5]);
        assert_eq!(values, (0..120).map(number).collect::<Vec<_>>());
    }
}

#[test]
fn bfloat16_is_widened_exactly() {
    let (_, values) = read_one("types.pth", "bfloat16");
    for (i, value) in [0, 1, 2, 3, 100, 5].into_iter().zip(values) {
        assert_eq!(half::bf16::from_f32(i as f32 * 0.3 - 1.0).to_f32(), value);
    }
}

#[test]
fn only_the_asked_for_storages_are_read() {
    // One value of the first momentum, which is all ones, is changed; its checksum would detect it.
    let mut bytes = fs::read(data("training.pth")).unwrap();
    let weights = read_all(bytes.clone()).unwrap();
    let ones = 1f32.to_le_bytes().repeat(4 * 3 * 3 * 3);
    let momentum = bytes.windows(ones.len()).position(|part| part == ones).unwrap();
    bytes[momentum] ^= 1;
    assert_eq!(read_all(bytes).unwrap(), weights);
}

#[test]
fn safetensors_written_here_are_read_by_the_reference() {
    let path = std::env::temp_dir().join(format!("rvision-formats-{}.safetensors", std::process::id()));
    let floats: Vec<u8> = [1f32, 2.0, 3.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let tensors = [
        TensorData { name: "flag", dtype: Dtype::Bool, shape: &[1], bytes: &[1] },
        TensorData { name: "w", dtype: Dtype::F32, shape: &[3, 1], bytes: &floats },
        TensorData { name: "n", dtype: Dtype::I64, shape: &[], bytes: &7i64.to_le_bytes() },
    ];
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    write_safetensors(&path, &tensors, &metadata).unwrap();
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let theirs = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(theirs.tensor("w").unwrap().data(), floats);
    assert_eq!(theirs.tensor("n").unwrap().shape(), [0usize; 0]);
    let ours = Checkpoint::from_bytes("x", bytes).unwrap();
    assert_eq!(ours.header(), &metadata);
    let names: Vec<_> = ours.state_dict(None).unwrap().entries.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["flag", "w", "n"], "the order given is kept");
}

#[test]
fn bytes_that_do_not_fit_their_shape_are_not_written() {
    let path = std::env::temp_dir().join("rvision-never-written.safetensors");
    let tensor = TensorData { name: "w", dtype: Dtype::F32, shape: &[3], bytes: &[0; 8] };
    assert!(write_safetensors(&path, &[tensor], &BTreeMap::new()).is_err());
    assert!(!path.exists());
}

const FILES: [&str; 9] = [
    "net.pth",
    "net_legacy.pth",
    "types.pth",
    "views_legacy.pth",
    "training.pth",
    "arrays.pth",
    "types.safetensors",
    "module.pth",
    "module_legacy.pth",
];

#[test]
fn every_length_is_an_error() {
    for file in ["net.pth", "net_legacy.pth", "module.pth", "types.safetensors"] {
        let bytes = fs::read(data(file)).unwrap();
        for length in 0..bytes.len() {
            assert!(read_all(bytes[..length].to_vec()).is_err(), "{file} cut to {length} bytes");
        }
    }
}

/// An archive as torch writes it: stored, in a folder, with both kinds of end records.
fn archive(folder: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut data, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let name = format!("{folder}/{name}");
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(content);
        let (size, at) = ((content.len() as u32).to_le_bytes(), (data.len() as u32).to_le_bytes());
        // Version 2.0, no flags, stored, no time, checksum, sizes, length of the name, no extra
        // field.
        let about = [
            &[20, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
            &hasher.finalize().to_le_bytes(),
            &size,
            &size,
            &(name.len() as u16).to_le_bytes(),
            &[0, 0],
        ]
        .concat();
        data.extend([b"PK\x03\x04", about.as_slice(), name.as_bytes(), content].concat());
        // No comment, disk 0, no attributes.
        directory.extend([b"PK\x01\x02\x14\0", about.as_slice(), &[0; 10], &at, name.as_bytes()].concat());
    }
    let (count, size, at) = (files.len() as u64, directory.len() as u64, data.len() as u64);
    let end = at + size;
    data.extend(directory);
    data.extend(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x1e\x03\x2d\0\0\0\0\0\0\0\0\0");
    data.extend([count, count, size, at].map(u64::to_le_bytes).concat());
    data.extend([&b"PK\x06\x07\0\0\0\0"[..], &end.to_le_bytes(), &[1, 0, 0, 0]].concat());
    data.extend(b"PK\x05\x06\0\0\0\0");
    data.extend([count as u16, count as u16].map(u16::to_le_bytes).concat());
    data.extend([size as u32, at as u32].map(u32::to_le_bytes).concat());
    data.extend([0, 0]);
    data
}

#[test]
fn an_archive_with_a_folder_of_any_length() {
    // {"weight": a tensor of one value}
    let pickle = b"\x80\x02}X\x06\0\0\0weightctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\n\
        FloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x01tQK\0K\x01\x85K\x01\x85\x89NtRs.";
    for length in 1..=64 {
        let files: &[(&str, &[u8])] =
            &[("data.pkl", pickle), ("byteorder", b"little"), ("data/0", &2.5f32.to_le_bytes())];
        let bytes = archive(&"x".repeat(length), files);
        assert_eq!(read_all(bytes).unwrap(), 1, "a folder of {length} characters");
    }
}

/// Opcodes of all kinds, so that random programs reach deep states.
const INSTRUCTIONS: [&[u8]; 42] = [
    b"(",
    b"0",
    b"1",
    b"2",
    b"K\x01",
    b"J\x00\x00\x00\x7f",
    b"J\xff\xff\xff\xff",
    b"N",
    b"X\x01\0\0\0w",
    b"X\x07\0\0\0storage",
    b"X\x05\0\0\0model",
    b"]",
    b"}",
    b")",
    b"\x85",
    b"\x86",
    b"\x87",
    b"t",
    b"a",
    b"e",
    b"s",
    b"u",
    b"\x90",
    b"q\0",
    b"h\0",
    b"q\x01",
    b"h\x01",
    b"Q",
    b"R",
    b"b",
    b"ccollections\nOrderedDict\n",
    b"ctorch\nFloatStorage\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ctorch._utils\n_rebuild_parameter\n",
    b"ctorch._tensor\n_rebuild_from_type_v2\n",
    b"cnumpy.core.multiarray\n_reconstruct\n",
    b"cnumpy\ndtype\n",
    b"cmylib\nThing\n",
    b"\x81",
    b"X\x0b\0\0\0_parameters",
    b"X\x08\0\0\0_buffers",
    b"X\x08\0\0\0_modules",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_never_panic(
        file in prop::sample::select(&FILES[..]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = fs::read(data(file)).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = read_all(bytes);
    }

    #[test]
    fn random_programs_never_panic(
        program in prop::collection::vec(prop::sample::select(&INSTRUCTIONS[..]), 1..200),
    ) {
        let bytes = [&b"\x80\x02"[..], &program.concat(), b"."].concat();
        let _ = read_all(bytes);
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read_all([&b"\x80\x02"[..], &bytes].concat());
        let _ = read_all(bytes);
    }
}
