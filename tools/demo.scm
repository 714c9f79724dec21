; demo.scm: what ./dev demo asks GIMP for. SPDX-License-Identifier: LGPL-3.0-or-later
; Calls @generate, which returns an image and its seeds, and writes the image to @path. Each line that starts with
; "stage" tells the caller what has just begun; "seed" tells which seed the picture has.

(define (demo generate path)
  (let* ((result #f))
    (display "stage generate") (newline)
    (set! result (generate))
    (display "seed ") (display (car (cadr result))) (newline)
    (display "stage export") (newline)
    (file-png-export #:run-mode RUN-NONINTERACTIVE #:image (car result) #:file path)
    (gimp-image-delete (car result))
    (display "stage end") (newline)))
