"""The header of warpgroup products: so many operands of an instruction are better not typed."""

from __future__ import annotations

_HALF = ("bf16", "f16")


def header() -> str:
    """`products.cuh`: product_{shared,registers}_TYPE_N(sums, a, b, add), which multiplies a
    warpgroup's 64 rays with N outputs: sums = a b + (add ? sums : 0).

    `shared`: both operands lie in shared memory. `registers`: a thread has four registers of `a`.
    """
    parts = []
    for kind in _HALF:
        shape = f"k16.f32.{kind}.{kind}"
        parts.append(_product(f"shared_{kind}_128", 128, shape, "float", in_registers=False))
        parts.append(_product(f"registers_{kind}_256", 256, shape, "float", in_registers=True))
    parts.append(_product("registers_s8_128", 128, "k32.s32.s8.s8", "int", in_registers=True))
    return "\n".join(parts)


def _product(name: str, n: int, shape: str, of: str, in_registers: bool) -> str:
    n_sums = n // 2
    sums = ", ".join(f"%{i}" for i in range(n_sums))
    n_inputs = 4 if in_registers else 1
    inputs = ", ".join(f"%{n_sums + i}" for i in range(n_inputs))
    b, add = n_sums + n_inputs, n_sums + n_inputs + 1
    # Signs of both operands; of 16 bits in shared memory also whether they are transposed.
    options = "" if of == "int" else ", 1, 1, 0" if in_registers else ", 1, 1, 0, 0"
    constraint = "r" if of == "int" else "f"
    outs = ", ".join(f'"+{constraint}"(sums[{i}])' for i in range(n_sums))
    if in_registers:
        parameters, inputs = "u32 a0, u32 a1, u32 a2, u32 a3", f"{{{inputs}}}"
        ins = '"r"(a0), "r"(a1), "r"(a2), "r"(a3)'
    else:
        parameters, ins = "u64 a", '"l"(a)'
    return f"""\
__device__ __forceinline__
void product_{name}({of} (&sums)[{n_sums}], {parameters}, u64 b, int add) {{
  asm volatile("{{\\n.reg .pred p;\\nsetp.ne.b32 p, %{add}, 0;\\n"
    "wgmma.mma_async.sync.aligned.m64n{n}{shape} {{{sums}}}, {inputs}, %{b}, p{options};\\n}}\\n"
    : {outs} : {ins}, "l"(b), "r"(add));
}}
"""
