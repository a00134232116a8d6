"""Changes of training images, on the device: a `random_` function draws, its deterministic twin computes.

Functions of one image `[h, w, c]` become functions of a batch by `each_image`, functions of a sample, whose boxes and
mask move with the image, by `each_example`; mixup, cutmix and mosaics take the whole batch. May import floor 0,
`fjdl.boxes` and `fjdl.lowering`.

>>> from fjdl import augment
>>> image = jnp.array([[0.1, 0.2], [0.3, 0.4]])[:, :, None]
>>> augment.mirror(image, jnp.array(True))[:, :, 0]
Array([[0.2, 0.1],
       [0.4, 0.3]], dtype=float32)
>>> batch = {"image": image[None], "label": jnp.array([3])}
>>> sorted(augment.each_image(augment.random_mirror)(jax.random.key(0), batch))
['image', 'label']
"""

from typing import TYPE_CHECKING

from fjdl.augment.batch import alternating_flips, each_example, each_image, example_key, in_sequence
from fjdl.augment.blur import gaussian_blur, random_gaussian_blur
from fjdl.augment.color import (
    brightness,
    contrast,
    grayscale,
    hue,
    random_color_jitter,
    random_grayscale,
    saturation,
)
from fjdl.augment.combine import apply_with_probability, choose_one, sequence
from fjdl.augment.cropping import centre_crop, crop, pad, random_crop
from fjdl.augment.distort import elastic, random_displacement, random_elastic
from fjdl.augment.erasing import cutout, erase, random_cutout, random_erasing
from fjdl.augment.geometry import (
    alternating_flip,
    flip_vertical,
    mirror,
    random_flip_vertical,
    random_mirror,
    random_rot90,
    random_shift,
    rot90,
    shift,
)
from fjdl.augment.iou_crop import centred_crop_sample, random_iou_crop_sample
from fjdl.augment.mix import cutmix, mixup, random_cutmix, random_mixup
from fjdl.augment.mosaics import mosaic, random_mosaic
from fjdl.augment.noise import add_noise, random_gaussian_noise, random_salt_and_pepper, salt_and_pepper
from fjdl.augment.placing import (
    place,
    place_sample,
    random_zoom,
    random_zoom_out,
    random_zoom_out_sample,
    random_zoom_sample,
)
from fjdl.augment.policy import rand_augment, trivial_augment
from fjdl.augment.resize import random_resized_crop, resized_crop
from fjdl.augment.sample import (
    affine_sample,
    centre_crop_sample,
    crop_sample,
    elastic_sample,
    flip_vertical_sample,
    mirror_sample,
    on_image,
    random_affine_sample,
    random_crop_sample,
    random_elastic_sample,
    random_flip_vertical_sample,
    random_mirror_sample,
    random_resized_crop_sample,
    random_rot90_sample,
    resized_crop_sample,
    rot90_sample,
)
from fjdl.augment.tone import autocontrast, equalize, gamma, invert, posterize, random_gamma, sharpness, solarize
from fjdl.augment.warp import affine, random_affine, random_rotate, rotate, scale, shear, translate
from fjdl.names import other_names

# second names, see `fjdl.names`
adjust_brightness = brightness
adjust_contrast = contrast
adjust_gamma = gamma
adjust_hue = hue
adjust_saturation = saturation
adjust_sharpness = sharpness
center_crop = centre_crop
center_crop_sample = centre_crop_sample
color_jitter = random_color_jitter
horizontal_flip = mirror
horizontal_flip_sample = mirror_sample
random_horizontal_flip = random_mirror
random_horizontal_flip_sample = random_mirror_sample
random_rotation = random_rotate
random_vertical_flip = random_flip_vertical
random_vertical_flip_sample = random_flip_vertical_sample
trivial_augment_wide = trivial_augment
vertical_flip = flip_vertical
vertical_flip_sample = flip_vertical_sample

__all__ = [
    "add_noise", "adjust_brightness", "adjust_contrast", "adjust_gamma", "adjust_hue", "adjust_saturation",
    "adjust_sharpness", "affine", "affine_sample", "alternating_flip", "alternating_flips", "apply_with_probability",
    "autocontrast", "brightness", "center_crop", "center_crop_sample", "centre_crop", "centre_crop_sample",
    "centred_crop_sample", "choose_one", "color_jitter", "contrast", "crop", "crop_sample", "cutmix", "cutout",
    "each_example", "each_image", "elastic", "elastic_sample", "equalize", "erase", "example_key", "flip_vertical",
    "flip_vertical_sample", "gamma", "gaussian_blur", "grayscale", "horizontal_flip", "horizontal_flip_sample", "hue",
    "in_sequence", "invert", "mirror", "mirror_sample", "mixup", "mosaic", "on_image", "pad", "place", "place_sample",
    "posterize", "rand_augment", "random_affine", "random_affine_sample", "random_color_jitter", "random_crop",
    "random_crop_sample", "random_cutmix", "random_cutout", "random_displacement", "random_elastic",
    "random_elastic_sample", "random_erasing", "random_flip_vertical", "random_flip_vertical_sample", "random_gamma",
    "random_gaussian_blur", "random_gaussian_noise", "random_grayscale", "random_horizontal_flip",
    "random_horizontal_flip_sample", "random_iou_crop_sample", "random_mirror", "random_mirror_sample", "random_mixup",
    "random_mosaic", "random_resized_crop", "random_resized_crop_sample", "random_rot90", "random_rot90_sample",
    "random_rotate", "random_rotation", "random_salt_and_pepper", "random_shift", "random_vertical_flip",
    "random_vertical_flip_sample", "random_zoom", "random_zoom_out", "random_zoom_out_sample", "random_zoom_sample",
    "resized_crop", "resized_crop_sample", "rot90", "rot90_sample", "rotate", "salt_and_pepper", "saturation", "scale",
    "sequence", "sharpness", "shear", "shift", "solarize", "translate", "trivial_augment", "trivial_augment_wide",
    "vertical_flip", "vertical_flip_sample",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:
    __getattr__ = other_names(__name__)
