/* core/tasks/inpaint-private.h: the steps of inpainting, each for itself. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/tasks/diffusion-private.h"
#include "core/tasks/inpaint.h"

/* --- geometry: core/tasks/inpaint-place.c ---------------------------------------------------------------------------- */

/* what @a and @b share; FALSE for nothing */
gboolean fb_rect_intersect  (FbRect a, FbRect b, FbRect *both);

/* @r with @pad pixels around it, as far as a picture of @width × @height goes */
FbRect fb_rect_grown        (FbRect r, int pad, int width, int height);

/* How much of a new picture @strength means: 1 at 1, 0 up to 0.8; always 1 where what is there has to go. Context and fill follow it, so that
 * nothing jumps just below 1. */
double fb_inpaint_whole (FbInpaintUse use, double strength);

/* What fixed widths are multiplied with: @longest side of what is looked at, @whole the one at which they are as they are, @native as in
 * FbInpaintPlace. */
double fb_inpaint_unit  (int longest, int whole, int native);

/* @feather, @grow, @blend and @use of FbInpaint */
typedef struct
{
  double       feather, grow, blend;
  FbInpaintUse use;
} FbRampWishes;

/**
 * FbRamps: distances from the mask in pixels
 * @width, @grow, @blend: of the wide ramp, from the mask to its middle, of the narrow ramp
 * @inner, @outer: where the denoise mask begins to fall, and where it ends
 * @blend_inner: where the composite mask begins to fall; it ends at @outer, too
 */
typedef struct
{
  int width, grow, blend;
  int inner, outer, blend_inner;
} FbRamps;

/**
 * fb_ramps_init:
 * @diagonal: of the mask's bounds
 * @unit: fb_inpaint_unit()
 *
 * Width: the feather's share of the diagonal times the strength, at least 32 · unit · strength, and 8 · unit. The ramp begins 4 · unit outside the mask.
 * Blend: 25 · unit or a twentieth of the diagonal, at most as much as there is. For FB_INPAINT_BACKGROUND the ramp lies on the thing that is to stay, so
 * its share is a hundredth at most, and it has no least width.
 */
void   fb_ramps_init    (FbRamps *ramps, double diagonal, double unit, double strength, const FbRampWishes *wishes);

/* Ends both ramps @most pixels from the mask, if they go on beyond that. */
void   fb_ramps_limit   (FbRamps *ramps, int most);

/**
 * FbView: the context, and what of it may change
 * @width, @height: the context's, in the mask's pixels
 * @shown: what the request's mask, the masks made from it and the result cover of it
 */
typedef struct
{
  int    width, height;
  FbRect shown;
} FbView;

/* --- masks: core/tasks/inpaint-mask.c -------------------------------------------------------------------------------- */

/**
 * fb_mask_distance:
 * @mask: [h, w], 0 … 1
 * @reach: pixels, > 0
 *
 * How far each pixel is from the mask, a part of a pixel's worth counting as a part of @reach: the least, over all pixels q, of
 * √(reach² · (1 − mask[q]) + |p − q|²). For masks of 0 and 1 that is the Euclidean distance, exact, up to @reach.
 * Source: Felzenszwalb and Huttenlocher, Distance Transforms of Sampled Functions, 2012.
 *
 * Returns: (transfer full): [h, w], 0 … reach
 */
float *   fb_mask_distance (const float *mask, int width, int height, float reach);

/* Bounds of the values above 0; %FALSE for none */
gboolean  fb_mask_bounds   (const FbImage *mask, FbRect *bounds);

/**
 * fb_mask_grow:
 * @denoise, @composite: (out) (transfer full): [h, w]: at least the mask itself; 1 up to @ramps' inner and blend_inner, 0 from its outer on, a quintic
 *   in between. Where the one is 0, so is the other. Nothing falls off towards the picture's border.
 */
void      fb_mask_grow     (const FbImage *mask, const FbRamps *ramps, FbImage **denoise, FbImage **composite);

/* --- pieces: core/tasks/inpaint-pieces.c ----------------------------------------------------------------------------- */

/* of a rectangle */
typedef struct
{
  gboolean left, top, right, bottom;
} FbSides;

/**
 * FbPiece: a part of the context that goes through the network by itself
 * @crop: in the context's pixels
 * @width, @height: of the network's picture
 * @inner: where the crop lies on that, scaled evenly; the rest mirrors it
 * @margins: of @crop, beyond which an eighth of the model's size at least is mirrored
 */
typedef struct
{
  FbRect  crop;
  int     width, height;
  FbRect  inner;
  FbSides margins;
} FbPiece;

/**
 * FbPart: a part of a piece
 * @rect: in the context's pixels
 * @ramp_left, @ramp_top: pixels, from the rect's side on, within which it takes over from what is there; 0 for at once
 */
typedef struct
{
  FbRect rect;
  int    ramp_left, ramp_top;
} FbPart;

/**
 * FbPieces:
 * @owners: [cells_y, cells_x] for cells of FB_PIECE_CELL pixels: index of the piece that draws there, −1 for none
 * @draws_all: whether the one piece there is draws everywhere, also where the mask lets nothing through
 */
typedef struct
{
  FbPiece *pieces;
  int      n;
  FbView   view;
  int      cells_x, cells_y;
  gint8   *owners;
  gboolean draws_all;
} FbPieces;

#define FB_MAX_PIECES 16

/* Diagonal of the largest island's bounds, within a cell's size; that of @bounds, the whole mask's, where it is in one piece. @longest: (inout):
 * longer side of the mask, made what one island's crop has at most */
double     fb_mask_diagonal (const FbImage *mask, const FbView *view, const FbRect *bounds, int native, int *longest);

/**
 * fb_pieces_new:
 * @denoise: [h, w] of @view's shown part, not 0 everywhere
 * @native: the model's own size
 * @resolution: as in FbInpaint, 0 for @native
 * @mirrors: whether a piece has margins where it draws at its crop's sides
 *
 * Islands of the mask are drawn together, with the whole context around, where that needs no more pixels at the same detail than each for
 * itself does.
 */
FbPieces * fb_pieces_new  (const FbImage *denoise, const FbView *view, int native, int resolution, gboolean mirrors);
void       fb_pieces_free (FbPieces *pieces);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbPieces, fb_pieces_free)

/**
 * fb_piece_fit:
 *
 * The network's size for @piece's crop with its margins, from a short list: sides in steps of an eighth of the model's, 64 at least; as many pixels as the crop
 * has, between native² and 1.5 native², or resolution² if one is given. Where the shape fits none, a strip is mirrored.
 */
void       fb_piece_fit   (FbPiece *piece, int native, int resolution);

/* (transfer full): @image's crop as the network's picture; %NULL when memory runs out. RGBA gives RGBA, its colours not darkened by what is
 * transparent beside them */
FbImage *  fb_piece_take  (const FbPiece *piece, FbImage *image);

/* (transfer full): the same of a mask that is 0 but for what lies in @shown, which is @mask */
FbImage *  fb_piece_take_mask (const FbPiece *piece, FbImage *mask, FbRect shown);

/* @piece in a picture of @view's whole context at @width × @height: where its crop lies there */
FbPiece    fb_piece_scaled (const FbPiece *piece, const FbView *view, int width, int height);

/* (transfer full): of the crop's part of a picture of the network's shape, at @width × @height, what lies in @part; %NULL when memory runs out */
FbImage *  fb_piece_give  (const FbPiece *piece, FbImage *picture, int width, int height, FbRect part);

/* bounds, within a cell's size, of what the piece @index draws */
FbRect     fb_pieces_bounds (const FbPieces *pieces, int index);

/**
 * fb_pieces_put: core/tasks/inpaint-put.c
 * @index: whose part of the context is drawn
 * @piece: that piece, or a tile of it: where @picture lies
 * @picture: of the network's shape, at any size
 * @part: (nullable): what of it to draw; %NULL for all
 * @onto: RGBA of the shape of what is shown, at any size, with the composite mask as alpha
 *
 * Draws only where the piece draws and the mask lets something through, or everywhere with @draws_all. FALSE when memory runs out.
 */
gboolean   fb_pieces_put    (const FbPieces *pieces, int index, const FbPiece *piece, FbImage *picture, const FbPart *part, FbImage *onto);

/* --- a second pass: core/tasks/inpaint-tiles.c ------------------------------------------------------------------------ */

#define FB_MAX_TILES 4

/**
 * FbTiles: pieces that overlap, row by row; their inner part is as detailed as the picture, or as far as so many tiles go
 * @n_x, @n_y: 0 where there are none
 * @parts: what is shown of each
 */
typedef struct
{
  int     n_x, n_y;
  FbPiece pieces[FB_MAX_TILES];
  FbPart  parts[FB_MAX_TILES];
} FbTiles;

/**
 * fb_tiles_init:
 * @piece: what has been drawn
 * @bounds: of what of it is shown, in the context's pixels
 * @width, @height: the context's
 * @native: the model's own size
 * @most: tiles, up to FB_MAX_TILES
 *
 * Returns: %FALSE, with none, where they would not show half as much detail again
 */
gboolean   fb_tiles_init  (FbTiles *tiles, const FbPiece *piece, FbRect bounds, int width, int height, int native, int most);

/* --- fill: core/tasks/inpaint-fill.c --------------------------------------------------------------------------------- */

/**
 * FbHole:
 * @width, @height: the network's
 * @depth: [h, w]: how far inside the hole, in pixels; 0 outside
 * @deepest: the largest of them
 */
typedef struct
{
  int    width, height;
  float *depth;
  float  deepest;
} FbHole;

/* @mask: [h, w]; the hole is where it is above 0.99 */
FbHole * fb_hole_new    (const float *mask, int width, int height);
void     fb_hole_free   (FbHole *hole);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbHole, fb_hole_free)

/**
 * fb_hole_fill:
 * @image: (inout): [h, w] RGB
 * @fill: not FB_FILL_AUTO
 * @amount: 0 … 1, how much of it is mixed in
 * @sharp: whether NEUTRAL begins at the border, rather than within 9 pixels of a 512-pixel picture
 *
 * ORIGINAL and NOISE leave the picture alone.
 */
void     fb_hole_fill   (const FbHole *hole, FbInpaintFill fill, double amount, gboolean sharp, FbImage *image);

/**
 * fb_spread_inwards:
 *
 * Gives the pixels of the hole their surroundings' colours, from the border inwards: each the mean of those within 4 pixels that have one,
 * weighted by nearness, by direction along the way inwards, and by likeness of depth. Mid grey where nothing is known.
 * Source: Telea, An Image Inpainting Technique Based on the Fast Marching Method, 2004, without its gradient term and in the order of the
 * exact distance.
 */
void     fb_spread_inwards (const FbHole *hole, FbImage *image);

/* --- colours: core/tasks/inpaint-match.c ----------------------------------------------------------------------------- */

/**
 * fb_match_colours:
 * @picture: (inout): [h, w] RGB, what the network made
 * @image: [h, w] RGB, what it was given
 * @weights: [h, w], 0 … 1: how much a pixel counts: 1 where nothing should have changed
 * @hole: (nullable): whose depth the correction fades with, to nothing at its deepest: something new has colours of its own
 *
 * Brings @picture's mean and deviation in CIE Lab to @image's, both taken where @weights are: each channel times 0.8 … 1.25 at most. Less than
 * FB_LEAST_KNOWN pixels' worth of weights leaves all as it is.
 */
void     fb_match_colours (FbImage *picture, const FbImage *image, const float *weights, const FbHole *hole);

#define FB_LEAST_KNOWN  64      /* pixels' worth of weights; with less, colours are left as they are */
#define FB_WHOLLY_KNOWN 0.99f   /* a weight above which the network's picture should be the one it was given */

/**
 * fb_match_seam: core/tasks/inpaint-seam.c
 * @goes_on: whether there is to be nothing new
 *
 * As fb_match_colours(), but for what differs from place to place: the offset between @image and @picture is known where @weights are 1; it goes on
 * smoothly into what is new and is added there. An autoencoder that cannot make some colour leaves no step at the mask. Where @weights are less and @image
 * is flat, an offset of up to 24 code values of 8 bits counts as far as they say, the more, the smaller it is, and any where the surroundings are to go on:
 * there, a shade shows that texture hides.
 * Source: Gortler et al., The Lumigraph, 1996: pull and push.
 */
void     fb_match_seam    (FbImage *picture, const FbImage *image, const float *weights, const FbHole *hole, gboolean goes_on);

/* --- the request: core/tasks/inpaint-request.c ------------------------------------------------------------------------ */

/* (transfer full): the mask as the task means it: 0 … 1 (not a number is 0), inverted for a background, with what is transparent where the picture
 * is to go on; %NULL when memory runs out */
FbImage * fb_inpaint_mask   (const FbInpaint *request);

/* Whether what is around @request's hole goes on in it with little that is drawn. @request is resolved. */
gboolean  fb_inpaint_goes_on (const FbInpaint *request);

/* @request has both pictures. */
FbView    fb_inpaint_view   (const FbInpaint *request);

/* the model's own size: of a square of as many pixels */
int      fb_inpaint_native (FbModel *model);

/* --- one piece: core/tasks/inpaint-draw.c ---------------------------------------------------------------------------- */

/* how many pictures the draw below turns into latents */
int       fb_inpaint_n_encodes (const FbInpaint *request, const FbModelInfo *info);

/**
 * fb_inpaint_draw:
 * @job: its size is set
 * @request: resolved
 * @image: [h, w] RGB, of the job's size: what is there
 * @filled: [h, w] RGB: the same with the hole filled, to start from
 * @mask: [h, w], 0 … 1: the denoise mask
 * @random: the draws come in diffusers' order: posterior of @filled, start, posterior of the masked picture, steps
 *
 * Returns: (transfer full): what the network makes of it, all over the picture
 */
FbImage * fb_inpaint_draw   (FbDiffusion *job, const FbInpaint *request, const FbImage *image, const FbImage *filled, const float *mask,
                             FbTorchRandom *random, GError **error);
