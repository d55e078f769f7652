@dataclass(frozen=True, eq=False)
class FusedBody:
    """All residual blocks of a light field, padded, on one device.

    weights: (2 * n_blocks, width, width) in the type calculated in. biases: float32
    (2 * n_blocks, width). scales: like biases, for int8 weights only.
    """

    weights: Tensor
    biases: Tensor
    scales: Tensor | None
    launch: Mapping[str, int]

    @property
    def width(self) -> int:
        """Channels, padding included."""
        return self.biases.shape[1]

    @property
    def weight_bytes(self) -> int:
        """Bytes held on the device."""
        scales = 0 if self.scales is None else self.scales.nbytes
        return self.weights.nbytes + self.biases.nbytes + scales

    def __call__(self, x: Tensor, rays_per_program: int = RAYS_PER_PROGRAM) -> None:
        """Run the blocks in place. x: float32 (rays, width), contiguous; rays must be a multiple
        of `rays_per_program`, a power of two from 16."""
        if x.shape[1] != self.width or x.shape[0] % rays_per_program or not x.is_contiguous():
            raise ValueError(f"{tuple(x.shape)} is not made of tiles of {rays_per_program} rays")
        n_blocks = len(self.weights) // 2
        if n_blocks == 0:
            return
        grid = (x.shape[0] // rays_per_program,)
        shape = {"WIDTH": self.width, "RAYS": rays_per_program, **self.launch}
        if self.scales is None:
            float_blocks[grid](x, self.weights, self.biases, n_blocks, **shape)
        else:
            int8_blocks[grid](x, self.weights, self.scales, self.biases, n_blocks, **shape)


def fused_body(
    light_field: LightField,
    dtype: torch.dtype,
    layers: Mapping[str, QuantizedLinear] | None,
    device: torch.device | str,
    capability: tuple[int, int],
) -> FusedBody:
    """The blocks of a light field no wider than the widest kernel, for one GPU.

    dtype: float16 or bfloat16. layers: every layer of the body, for int8 instead; or None.
    """
    dtype = dtype if layers is None else torch.int8
    network, tensors = light_field.network, light_field.tensors
    width = min(w for w in WIDTHS if w >= network.width)
    pad = width - network.width
    weights, biases, scales = [], [], []
    for k in range(network.n_blocks):
        # res_scale is folded into the layer it multiplies.
        for j, factor in ((0, 1.0), (2, network.res_scale)):
            name = f"body.{k}.body.{j}"
            biases.append(functional.pad(tensors[f"{name}.bias"] * factor, (0, pad)))
            if layers is not None:
                rows = layers[name].weight
                weights.append(functional.pad(rows.values, (0, pad, 0, pad)))
                scales.append(functional.pad(rows.scale[:, 0] * factor, (0, pad)))
            else:
                weight = (tensors[f"{name}.weight"] * factor).to(dtype)
                weights.append(functional.pad(weight, (0, pad, 0, pad)))

    def stacked(parts: list[Tensor], shape: tuple[int, ...], kind: torch.dtype) -> Tensor:
        result = torch.stack(parts) if parts else torch.empty(0, *shape)
        return result.to(device, kind).contiguous()

    return FusedBody(
        stacked(weights, (width, width), dtype),
        stacked(biases, (width,), torch.float32),
        stacked(scales, (width,), torch.float32) if layers is not None else None,
        launch_shape(dtype, width, capability),
    )


class LayerByLayer:
    """All residual blocks as torch products; inputs and weights of one type, float32 residual."""

    def __init__(
        self, light_field: LightField, dtype: torch.dtype, device: torch.device | str
    ) -> None:
        network, tensors = light_field.network, light_field.tensors
        self.width = network.width
        self._dtype = dtype
        # res_scale is folded into the layer it multiplies.
        self._layers = [
            (
                (tensors[f"body.{k}.body.{j}.weight"] * factor).to(device, dtype),
                (tensors[f"body.{k}.body.{j}.bias"] * factor).to(device, dtype),
            )
            for k in range(network.n_blocks)
            for j, factor in ((0, 1.0), (2, network.res_scale))
        ]

    @property
    def weight_bytes(self) -> int:
        """Bytes held on the device."""
        return sum(weight.nbytes + bias.nbytes for weight, bias in self._layers)

    def __call__(self, x: Tensor) -> None:
        """Run the blocks in place. x: float32 (rays, width)."""
        for first, second in zip(self._layers[::2], self._layers[1::2], strict=True):
            hidden = functional.linear(x.to(self._dtype), *first).relu_()
            x += functional.linear(hidden, *second)


class DeviceNetwork:
    """Features of `encoder` to colours, on its device.

    fused_for: the compute capability that the body's kernel is for, or None for layer by layer.
    """

    def __init__(
        self,
        light_field: LightField,
        precision: Precision,
        encoder: FeatureEncoder,
        fused_for: tuple[int, int] | None,
    ) -> None:
        tensors, device = light_field.tensors, encoder.features.device
        self._dtype = _DTYPES[precision]
        self._use_residual = light_field.network.use_residual
        self._body: LayerByLayer | FusedBody
        if fused_for is None:
            self._body = LayerByLayer(light_field, self._dtype, device)
        else:
            from r2l_core.engines.triton_kernels import fused_body

            layers = _quantized(light_field) if precision is Precision.INT8 else None
            self._body = fused_body(light_field, self._dtype, layers, device, fused_for)
        # Channels the kernel adds are zero behind the head, and not read by the tail.
        pad = self._body.width - light_field.network.width
        weight = encoder.head_weight(tensors["head.0.weight"])
        self._head = (
            functional.pad(weight, (0, 0, 0, pad)).to(device, self._dtype),
            functional.pad(tensors["head.0.bias"], (0, pad)).to(device, self._dtype),
        )
        self._tail = (
            functional.pad(tensors["tail.0.weight"], (0, pad)).to(device),
            tensors["tail.0.bias"].to(device),
        )

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights held on the device, padding included."""
        return self._body.weight_bytes + sum(t.nbytes for t in (*self._head, *self._tail))

    def __call__(self, features: Tensor) -> Tensor:
        """float32 (rays, input_size), in fast order -> float32 (rays, 3)."""
        hidden = functional.linear(features.to(self._dtype), *self._head).relu_().float()
        x = hidden.clone() if self._use_residual else hidden
        self._body(x)
        if self._use_residual:
            x += hidden
        return functional.linear(x, *self._tail).sigmoid_()


