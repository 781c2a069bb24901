"""Operations on windows of images: convolution, pooling, padding and resampling."""
