; demo.scm: what ./dev demo asks GIMP for. SPDX-License-Identifier: LGPL-3.0-or-later
; Each line that starts with "stage" tells the caller what has just begun; "seed" tells which seed the picture has.

(define (demo-stage name) (display "stage ") (display name) (newline))

(define (demo-export image path)
  (file-png-export #:run-mode RUN-NONINTERACTIVE #:image image #:file path))

; Writes the new image of @result, which is an image and its seeds, to @path.
(define (demo-new result path)
  (display "seed ") (display (car (cadr result))) (newline)
  (demo-stage "export")
  (demo-export (car result) path)
  (gimp-image-delete (car result))
  (demo-stage "end"))

; Calls @generate, and writes the image that comes to @path.
(define (demo generate path)
  (demo-stage "generate")
  (demo-new (generate) path))

; Selects what is white in @path, a picture of the mask; where it is "" an ellipse in the middle.
(define (demo-select image path)
  (let* ((width (car (gimp-image-get-width image))) (height (car (gimp-image-get-height image))))
    (if (string=? path "")
        (gimp-image-select-ellipse image CHANNEL-OP-REPLACE (/ width 4) (/ height 4) (/ width 2) (/ height 2))
        (let* ((layer (car (gimp-file-load-layer RUN-NONINTERACTIVE image path))))
          (gimp-image-insert-layer image layer 0 0)
          (gimp-layer-scale layer width height FALSE)
          (gimp-layer-set-offsets layer 0 0)
          (gimp-image-select-color image CHANNEL-OP-REPLACE layer '(255 255 255))
          (gimp-image-remove-layer image layer)))))

; The image in the file @picture, or where that is "" the one that @sample makes, which is written to @before.
(define (demo-open sample picture before)
  (let* ((image #f))
    (if (string=? picture "")
        (begin (demo-stage "sample") (set! image (car (sample))) (demo-export image before))
        (begin (demo-stage "open") (set! image (car (gimp-file-load RUN-NONINTERACTIVE picture)))))
    image))

(define (demo-first-layer image) (vector-ref (car (gimp-image-get-layers image)) 0))

; Calls @inpaint with the image and its layer, what @mask shows selected, and writes the image to @path.
(define (demo-inpaint sample picture mask inpaint before path)
  (let* ((image (demo-open sample picture before)) (layer (demo-first-layer image)) (result #f))
    (demo-select image mask)
    (demo-stage "inpaint")
    (set! result (inpaint image layer))
    (display "seed ") (display (car (cadr result))) (newline)
    (demo-stage "export")
    (demo-export image path)
    (gimp-image-delete image)
    (demo-stage "end")))

; Calls @upscale with the image and its layer, and writes the new image that comes to @path.
(define (demo-upscale sample picture upscale before path)
  (let* ((image (demo-open sample picture before)))
    (demo-stage "upscale")
    (demo-new (upscale image (demo-first-layer image)) path)
    (gimp-image-delete image)))
