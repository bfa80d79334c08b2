//! The cost of a node, by the definition that published tables of networks use.

use crate::tensor::Shape;

use super::Node;

/// Multiply-adds of one node for inputs of these shapes.
///
/// Each product of a convolution or matrix product counts as one multiply-add, including zeros of
/// the padding. Biases, normalisation, pooling and pointwise functions do not count. This is the
/// definition of torchvision's `_ops` (in units of 1e9), called "GFLOPS" there.
pub fn multiply_adds(node: &Node, inputs: &[Shape], output: Shape) -> u64 {
    node.op.rules().multiply_adds(&node.context(), inputs, output)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::graph::GraphBuilder;
    use crate::graph::ops::{self, Conv2d, ConvPadding};
    use crate::tensor::Param;

    fn zeros(dims: &[usize]) -> Arc<Param> {
        Arc::new(Param::zeros(Shape::new(dims)).unwrap())
    }

    #[test]
    fn products_are_counted_and_nothing_else() {
        let mut builder = GraphBuilder::new();
        let x = builder.input("x", &[2, 8, 9, 7]).unwrap();
        let conv =
            Conv2d { stride: [2, 1], padding: ConvPadding::Explicit([1; 4]), dilation: [1, 1], groups: 2 };
        let params = vec![Some(zeros(&[6, 4, 3, 3])), Some(zeros(&[6]))];
        let conv = builder.add("conv", conv, &[x], params).unwrap();
        assert_eq!(builder.multiply_adds(conv).unwrap(), 2 * 6 * 5 * 7 * (4 * 3 * 3));

        let transposed = ops::ConvTranspose2d {
            stride: [2, 2],
            padding: [1, 1],
            output_padding: [0, 0],
            dilation: [1, 1],
            groups: 2,
        };
        let params = vec![Some(zeros(&[8, 3, 4, 4])), None];
        let transposed = builder.add("up", transposed, &[x], params).unwrap();
        assert_eq!(builder.multiply_adds(transposed).unwrap(), 2 * 8 * 9 * 7 * (3 * 4 * 4));

        let flat = builder.flatten("flatten", conv, 1, -1).unwrap();
        let linear = builder.add("fc", ops::Linear, &[flat], vec![Some(zeros(&[10, 210])), None]).unwrap();
        assert_eq!(builder.multiply_adds(linear).unwrap(), 2 * 10 * 210);

        let queries = builder.input("q", &[2, 3, 5, 4]).unwrap();
        let keys = builder.input("k", &[2, 3, 7, 4]).unwrap();
        let values = builder.input("v", &[2, 3, 7, 6]).unwrap();
        let attention = ops::Attention { scale: None, masked: false };
        let attention = builder.add("attention", attention, &[queries, keys, values], vec![]).unwrap();
        assert_eq!(builder.multiply_adds(attention).unwrap(), 2 * 3 * (5 * 7 * 4 + 5 * 7 * 6));
        let other = builder.input("other", &[6, 9]).unwrap();
        let product = builder.add("matmul", ops::MatMul, &[attention, other], vec![]);
        assert_eq!(builder.multiply_adds(product.unwrap()).unwrap(), 2 * 3 * 5 * 9 * 6);

        let softmax = builder.softmax("softmax", linear, -1, false).unwrap();
        for free in [x, flat, softmax] {
            assert_eq!(builder.multiply_adds(free).unwrap(), 0);
        }
    }
}
