"""Checkpoints that `torch.save` has written: released R2L networks and NeRF teachers.

Such files are pickles, which can run code when torch opens them. Nothing of them is run here.

    opening      a file to a light field or a teacher
    archive      the two containers of torch.save
    unpickling   the pickle inside, read opcode by opcode
    stand_ins    what may come out of it: the allow-list of globals
    state_dict   named weights and their shapes, checked before they are read
    r2l, teacher what network the weights and options describe
"""
