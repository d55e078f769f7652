"""A rehearsal's device: a processor in the place of the GPU, kernels in Triton's interpreter.

Python runs this before anything else in every process that has the folder on its path.
"""

import os

if os.environ.get("R2L_REHEARSAL") == "1":
    os.environ["TRITON_INTERPRET"] = "1"
    import torch

    # For good: two threads that wait for each other on a busy machine take a hundred times as long.
    torch.set_num_threads(1)
    torch.set_num_threads = lambda n: None
    torch.cuda.is_available = lambda: True
    torch.cuda.current_device = lambda: 0
    torch.cuda.get_device_name = lambda device=None: "stand-in"
    torch.cuda.get_device_capability = lambda device=None: (9, 0)
    torch.cuda.is_current_stream_capturing = lambda: False
    torch.Tensor.cuda = lambda self: self.clone()

    from r2l_core.engines.cuda import device
    from tests.stand_in_device import StandInDevice
    from tests.triton_interpreter import PREPARATION

    stand_in = StandInDevice()
    device._device = lambda index: stand_in
    exec(PREPARATION)

    from r2l_core.engines.cuda.engine import CudaEngine
    from r2l_core.engines.cuda.hopper import blocks, trial
    from r2l_core.training import distillation
    from tests.hopper_emulation import HalfKernel, IntegerKernel

    def emulated(dtype):
        return IntegerKernel() if dtype is torch.int8 else HalfKernel(dtype)

    blocks.kernel = blocks.loaded = emulated
    trial._RAYS = 512

    # An interpreter would take hours for the real ones; Hopper's kernels ask for a multiple of 256.
    CudaEngine.tile_rays = 256
    distillation._RAYS_AT_ONCE = 2**13
