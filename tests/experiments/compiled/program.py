"""A short program in the form that the TPU compiler prints, written by hand: an epoch of three steps.

A step costs, with the names of the kinds as in `experiments.compiled.kinds`:

convolution   1000 forward, 2000 backward (inside of fusions)
norm            50 forward
dot            300 of the optimizer
augmentation    40: an inner loop of four rounds of 10 cycles
copies           7
unpriced        select-and-scatter, sort, a custom call, an all-reduce, an all-gather in two halves around 300 cycles
"""

PROGRAM = """\
HloModule jit__epoch, is_scheduled=true, entry_computation_layout={(s32[]{:T(128)})->s32[]{:T(128)}}, num_partitions=4

FileNames
1 "step.py"

%add (x: f32[], y: f32[]) -> f32[] {
  %x = f32[]{:T(128)} parameter(0)
  %y = f32[]{:T(128)} parameter(1)
  ROOT %sum = f32[]{:T(128)} add(%x, %y)
}

%fused_forward (p0: bf16[64,8,8,16], p1: f32[3,3,16,16]) -> bf16[64,8,8,16] {
  %p0 = bf16[64,8,8,16]{3,0,2,1:T(8,128)(2,1)} parameter(0)
  %p1 = f32[3,3,16,16]{3,2,1,0:T(8,128)} parameter(1)
  %narrow = bf16[3,3,16,16]{3,2,1,0:T(8,128)(2,1)} convert(%p1), metadata={op_name="jit(_epoch)/while/body/jvp(Net)/conv/convert"}
  %conv = f32[64,8,8,16]{3,0,2,1:T(8,128)} convolution(%p0, %narrow), window={size=3x3 pad=1_1x1_1}, dim_labels=b01f_01io->b01f, metadata={op_name="jit(_epoch)/while/body/jvp(Net)/conv/conv_general_dilated"}
  ROOT %out = bf16[64,8,8,16]{3,0,2,1:T(8,128)(2,1)} convert(%conv), metadata={op_name="jit(_epoch)/while/body/jvp(Net)/norm/sub"}
}

%fused_backward (p0.1: f32[64,8,8,16], p1.1: bf16[3,3,16,16]) -> f32[64,8,8,16] {
  %p0.1 = f32[64,8,8,16]{3,0,2,1:T(8,128)} parameter(0)
  %p1.1 = bf16[3,3,16,16]{3,2,1,0:T(8,128)(2,1)} parameter(1)
  ROOT %conv.1 = f32[64,8,8,16]{3,0,2,1:T(8,128)} convolution(%p0.1, %p1.1), window={size=3x3 pad=1_1x1_1}, dim_labels=b01f_01oi->b01f, metadata={op_name="jit(_epoch)/while/body/transpose(jvp(Net))/conv/conv_general_dilated"}
}

%fused_compare (p0.2: s32[], p1.2: s32[]) -> pred[] {
  %p0.2 = s32[]{:T(128)} parameter(0)
  %p1.2 = s32[]{:T(128)} parameter(1)
  ROOT %less = pred[]{:T(512)} compare(%p0.2, %p1.2), direction=LT
}

%crop_body (c: (s32[], u8[64,8,8,3])) -> (s32[], u8[64,8,8,3]) {
  %c = (s32[]{:T(128)}, u8[64,8,8,3]{3,0,2,1:T(8,128)(4,1)S(1)}) parameter(0)
  %i = s32[]{:T(128)} get-tuple-element(%c), index=0
  %one.1 = s32[]{:T(128)} constant(1)
  %next.1 = s32[]{:T(128)} add(%i, %one.1)
  %pixels = u8[64,8,8,3]{3,0,2,1:T(8,128)(4,1)S(1)} get-tuple-element(%c), index=1
  %crop = u8[64,8,8,3]{3,0,2,1:T(8,128)(4,1)S(1)} dynamic-update-slice(%pixels, %pixels, %i), metadata={op_name="jit(_epoch)/while/body/augment/vmap(dynamic_slice)"}, backend_config={"window_config":{"estimated_cycles":"10"}}
  ROOT %carried.1 = (s32[]{:T(128)}, u8[64,8,8,3]{3,0,2,1:T(8,128)(4,1)S(1)}) tuple(%next.1, %crop)
}

%crop_condition (d: (s32[], u8[64,8,8,3])) -> pred[] {
  %d = (s32[]{:T(128)}, u8[64,8,8,3]{3,0,2,1:T(8,128)(4,1)S(1)}) parameter(0)
  %j = s32[]{:T(128)} get-tuple-element(%d), index=0
  %six = s32[]{:T(128)} constant(6)
  ROOT %more.1 = pred[]{:T(512)} fusion(%j, %six), kind=kLoop, calls=%fused_compare
}

%step (t: (s32[], bf16[64,8,8,16], /*index=2*/f32[3,3,16,16], u8[64,8,8,3])) -> (s32[], bf16[64,8,8,16], f32[3,3,16,16], u8[64,8,8,3]) {
  %t = (s32[]{:T(128)}, bf16[64,8,8,16]{3,0,2,1:T(8,128)(2,1)}, /*index=2*/f32[3,3,16,16]{3,2,1,0:T(8,128)}, u8[64,8,8,3]{3,0,2,1:T(8,128)(4,1)}) parameter(0)
  %n = s32[]{:T(128)} get-tuple-element(%t), index=0
  %one = s32[]{:T(128)} constant(1)
  %next = s32[]{:T(128)} add(%n, %one)
  %images = bf16[64,8,8,16]{3,0,2,1:T(8,128)(2,1)} get-tuple-element(%t), index=1
  %kernel = f32[3,3,16,16]{3,2,1,0:T(8,128)} get-tuple-element(%t), index=2
  %raw = u8[64,8,8,3]{3,0,2,1:T(8,128)(4,1)} get-tuple-element(%t), index=3
  %two = s32[]{:T(128)} constant(2)
  %start = s32[]{:T(128)} copy(%two)
  %carried = (s32[]{:T(128)}, u8[64,8,8,3]{3,0,2,1:T(8,128)(4,1)}) tuple(%start, %raw)
  %crops = (s32[]{:T(128)}, u8[64,8,8,3]{3,0,2,1:T(8,128)(4,1)}) while(%carried), condition=%crop_condition, body=%crop_body, metadata={op_name="jit(_epoch)/while/body/augment/vmap(dynamic_slice)"}
  %forward = bf16[64,8,8,16]{3,0,2,1:T(8,128)(2,1)} fusion(%images, %kernel), kind=kOutput, calls=%fused_forward, metadata={op_name="jit(_epoch)/while/body/jvp(Net)/norm/sub"}, backend_config={"window_config":{"estimated_cycles":"1000"}}
  %scaled = bf16[64,8,8,16]{3,0,2,1:T(8,128)(2,1)} multiply(%forward, %forward), metadata={op_name="jit(_epoch)/while/body/jvp(Net)/norm/mul"}, backend_config={"window_config":{"estimated_cycles":"50"}}
  %plain = bf16[64,8,8,16]{0,3,2,1:T(8,128)(2,1)} copy(%scaled), backend_config={"window_config":{"estimated_cycles":"7"}}
  %gathering = (f32[16,16]{1,0:T(8,128)}, f32[64,16]{1,0:T(8,128)}) all-gather-start(%kernel), channel_id=1, replica_groups=[1,4]<=[4], dimensions={0}, metadata={op_name="jit(_epoch)/while/body/optimizer/gather"}
  %muon = f32[16,16]{1,0:T(8,128)} dot(%kernel, %kernel), lhs_contracting_dims={1}, rhs_contracting_dims={0}, operand_precision={highest,highest}, metadata={op_name="jit(_epoch)/while/body/optimizer/dot_general"}, backend_config={"window_config":{"estimated_cycles":"300"}}
  %gathered = f32[64,16]{1,0:T(8,128)} all-gather-done(%gathering), metadata={op_name="jit(_epoch)/while/body/optimizer/gather"}
  %wide = f32[64,8,8,16]{3,0,2,1:T(8,128)} convert(%plain)
  %backward = f32[64,8,8,16]{3,0,2,1:T(8,128)} fusion(%wide, %kernel), kind=kOutput, calls=%fused_backward, backend_config={"window_config":{"estimated_cycles":"2000"}}
  %pool = f32[64,8,8,16]{3,0,2,1:T(8,128)} select-and-scatter(%backward, %backward, %one), metadata={op_name="jit(_epoch)/while/body/transpose(jvp(Net))/pool/select_and_scatter_add"}
  %order = (u32[1024]{0:T(1024)}, s32[1024]{0:T(1024)}) sort(%n, %n), dimensions={0}, to_apply=%add, metadata={op_name="jit(_epoch)/while/body/inputs/sort"}
  %scratch = f32[128]{0:T(128)} custom-call(%kernel), custom_call_target="AllocateBuffer"
  %reduced = f32[3,3,16,16]{3,2,1,0:T(8,128)} all-reduce(%kernel), channel_id=2, replica_groups=[1,4]<=[4], to_apply=%add, metadata={op_name="jit(_epoch)/while/body/transpose(jvp(Net))/conv/conv_general_dilated"}
  ROOT %result = (s32[]{:T(128)}, bf16[64,8,8,16]{3,0,2,1:T(8,128)(2,1)}, /*index=2*/f32[3,3,16,16]{3,2,1,0:T(8,128)}, u8[64,8,8,3]{3,0,2,1:T(8,128)(4,1)}) tuple(%next, %scaled, %reduced, %raw)
}

%more_steps (u: (s32[], bf16[64,8,8,16], /*index=2*/f32[3,3,16,16], u8[64,8,8,3])) -> pred[] {
  %u = (s32[]{:T(128)}, bf16[64,8,8,16]{3,0,2,1:T(8,128)(2,1)}, /*index=2*/f32[3,3,16,16]{3,2,1,0:T(8,128)}, u8[64,8,8,3]{3,0,2,1:T(8,128)(4,1)}) parameter(0)
  %k = s32[]{:T(128)} get-tuple-element(%u), index=0
  %three = s32[]{:T(128)} constant(3)
  ROOT %more = pred[]{:T(512)} compare(%k, %three), direction=LT
}

ENTRY %main (q0: f32[3,3,16,16], q1: u8[1000,32,32,3]) -> s32[] {
  %q0 = f32[3,3,16,16]{3,2,1,0:T(8,128)} parameter(0), sharding={replicated}
  %q1 = u8[1000,32,32,3]{0,2,1,3:T(8,128)(4,1)} parameter(1), sharding={replicated}
  %zero = s32[]{:T(128)} constant(0)
  %laid = u8[1000,32,32,3]{2,1,3,0:T(8,128)(4,1)} copy(%q1), backend_config={"window_config":{"estimated_cycles":"5"}}
  %begin = bf16[64,8,8,16]{3,0,2,1:T(8,128)(2,1)} fusion(%laid, %q0), kind=kOutput, calls=%fused_forward, backend_config={"window_config":{"estimated_cycles":"11"}}
  %first = u8[64,8,8,3]{3,0,2,1:T(8,128)(4,1)} slice(%laid), slice={[0:64]}
  %init = (s32[]{:T(128)}, bf16[64,8,8,16]{3,0,2,1:T(8,128)(2,1)}, /*index=2*/f32[3,3,16,16]{3,2,1,0:T(8,128)}, u8[64,8,8,3]{3,0,2,1:T(8,128)(4,1)}) tuple(%zero, %begin, %q0, %first)
  %epoch = (s32[]{:T(128)}, bf16[64,8,8,16]{3,0,2,1:T(8,128)(2,1)}, /*index=2*/f32[3,3,16,16]{3,2,1,0:T(8,128)}, u8[64,8,8,3]{3,0,2,1:T(8,128)(4,1)}) while(%init), condition=%more_steps, body=%step, metadata={op_name="jit(_epoch)/while"}
  ROOT %last = s32[]{:T(128)} get-tuple-element(%epoch), index=0
}
"""  # noqa: E501
